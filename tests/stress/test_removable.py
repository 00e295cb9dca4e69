"""A feature is its folder, its tests' folder and its line: without all three the other tests pass."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.features import needs_artifacts
from tests.support.process import PROJECT

pytestmark = [pytest.mark.stress, needs_artifacts]

LINE = '    "hubrepo.features.artifacts",\n'
FOLDERS = ("hubrepo/features/artifacts/", "tests/features/artifacts/")
# What speaks of features and surfaces, and takes little time.
SHARED = (
    "tests/architecture/test_permission_matrix.py",
    "tests/architecture/test_structure.py",
    "tests/features/docs",
    "tests/features/organisation",
    "tests/kernel/openapi",
    "tests/kernel/security",
    "tests/kernel/web/test_cors.py",
)
MINUTES = 15
# Functions among these that speak of artifacts alone.
SKIPPED, MOST_SKIPPED = "this hub keeps no artifacts", 12


def git(*arguments: str) -> list[str]:
    """The paths that git tells of."""
    done = subprocess.run(
        ["git", *arguments, "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return [each for each in done.stdout.split("\0") if each]


@pytest.fixture(scope="module")
def without() -> Iterator[Path]:
    """The project as it lies here, less what the feature is.

    Not among what tests leave behind: there the keys of its documents and tests would be secrets in clear.
    """
    with TemporaryDirectory() as folder:
        copy(Path(folder))
        yield Path(folder)


def copy(folder: Path) -> None:
    """What git knows or would know of, less the feature."""
    for name in git("ls-files", "--cached", "--others", "--exclude-standard"):
        source, target = PROJECT / name, folder / name
        if source.is_file() and not name.startswith(FOLDERS):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    contents = folder / "hubrepo" / "__init__.py"
    text = contents.read_text(encoding="utf-8")
    assert text.count(LINE) == 1
    contents.write_text(text.replace(LINE, ""), encoding="utf-8")


def run(folder: Path, *arguments: str) -> str:
    """What pytest prints there; nothing of this project is on its path."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def collected(folder: Path) -> set[str]:
    """The functions that are tests, whatever they are tried with."""
    lines = run(folder, "--collect-only").splitlines()
    return {line.partition("[")[0] for line in lines if line.startswith("tests/") and "::" in line}


def test_no_test_but_its_own_goes_with_artifacts(without: Path) -> None:
    here, there = collected(PROJECT), collected(without)
    assert {each for each in here if not each.startswith(FOLDERS)} == there
    assert len(there) > 1000


def test_the_other_tests_pass_without_artifacts(without: Path) -> None:
    printed = run(without, "-n", "2", "--dist", "loadgroup", "-m", "not stress", *SHARED)
    (passed,) = re.findall(r"(\d+) passed", printed)
    assert int(passed) > 250
    assert printed.count(SKIPPED) <= MOST_SKIPPED
