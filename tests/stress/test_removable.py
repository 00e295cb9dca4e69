"""A feature is its folder, its tests' folder and its line: without all three the other tests pass.

It takes minutes: in a sample, `test_the_application_starts_without` of the architecture stands for it.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.copies import copy_project, run_tests
from tests.support.features import needs_artifacts
from tests.support.process import PROJECT

pytestmark = [pytest.mark.stress, needs_artifacts]

LINE = '    "hubrepo.features.artifacts",\n'
# Tests that concern features and surfaces, and take little time.
SHARED = (
    "tests/architecture/test_permission_matrix.py", "tests/architecture/test_structure.py",
    "tests/features/docs", "tests/features/organisation",
    "tests/kernel/openapi", "tests/kernel/security",
)  # fmt: skip
# Functions among these that concern artifacts alone.
SKIPPED, MOST_SKIPPED = "this hub keeps no artifacts", 12


def copy_without_artifacts(folder: Path) -> None:
    """Copy what git knows or would know, less the feature."""
    copy_project(folder, ("hubrepo/features/artifacts/", "tests/features/artifacts/"))
    contents = folder / "hubrepo" / "__init__.py"
    text = contents.read_text(encoding="utf-8")
    assert text.count(LINE) == 1
    contents.write_text(text.replace(LINE, ""), encoding="utf-8")


def run(folder: Path, *arguments: str) -> str:
    """Run pytest there, with nothing of this project on its path. Return what it prints."""
    done = run_tests(folder, *arguments)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def collected(folder: Path) -> set[str]:
    """Return the names of the test functions there, without their parameters."""
    return set(re.findall(r"^tests/\S+::\w+", run(folder, "--collect-only"), re.MULTILINE))


def test_the_other_tests_pass_without_artifacts(budget) -> None:
    if budget.is_sample:
        pytest.skip("it takes minutes")
    # Not in `tmp_path`: there the keys in documents and tests would be secrets in clear.
    with TemporaryDirectory() as name:
        folder = Path(name)
        copy_without_artifacts(folder)
        there = collected(folder)
        assert {each for each in collected(PROJECT) if "features/artifacts/" not in each} == there
        printed = run(folder, "-n", "2", "--dist", "loadgroup", "-m", "not stress", *SHARED)
        assert printed.count(SKIPPED) <= MOST_SKIPPED
