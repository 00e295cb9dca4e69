"""A copy of the project in another folder, and its tests there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.process import PROJECT


def copy_project(folder: Path, without: tuple[str, ...] = ()) -> None:
    """Copy what git knows or would know, less what lies below the folders `without`."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, done.stdout.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file() and not name.startswith(without):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def run_tests(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest there, with nothing of this project on its path."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env={**environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
