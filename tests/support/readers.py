"""Other readers of archives: Info-ZIP's unzip, and libarchive's bsdtar."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from hubrepo.kernel.base import nfc

PROGRAMS = ("unzip", "bsdtar")
_ENVIRON = {**os.environ, "LC_ALL": "C.UTF-8"}


def require_other_readers() -> None:
    """Skip the test where a program is missing; in CI, fail it."""
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        reason = f"there is no {' and no '.join(missing)} (apt-get install unzip libarchive-tools)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def check_by_others(path: Path, members: Mapping[str, bytes]) -> None:
    """Fail unless both programs read these members in the archive.

    libarchive tells names in a normal form, whatever they were. Of a member that is not the first of its
    name unzip would ask which one is meant; there is none.
    """
    found = {}
    with tarfile.open(
        fileobj=io.BytesIO(run("bsdtar", "--format=pax", "-cf", "-", f"@{path}"))
    ) as tar:
        for each in tar:
            file = tar.extractfile(each)
            found[nfc(each.name) + "/" * each.isdir()] = b"" if file is None else file.read()
    assert found == {nfc(name): content for name, content in members.items()}
    assert b"No errors detected" in run("unzip", "-tq", str(path))
    assert run("unzip", "-Z1", str(path)).decode().splitlines() == list(members)
    assert run("unzip", "-p", str(path)) == b"".join(members.values())


def run(*command: str) -> bytes:
    """Return what the program prints; it must succeed without a warning."""
    done = subprocess.run(command, capture_output=True, env=_ENVIRON, check=False)
    assert (done.returncode, done.stderr) == (0, b""), (command, done.stderr, done.stdout[-500:])
    return done.stdout
