"""What others read in an archive: Python's own zipfile, Info-ZIP's unzip, and libarchive's bsdtar."""

import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hubrepo.kernel.base import nfc

PROGRAMS = ("unzip", "bsdtar")
_ENVIRON = {**os.environ, "LC_ALL": "C.UTF-8"}


def missing_programs() -> list[str]:
    """Those that are not installed."""
    return [program for program in PROGRAMS if not shutil.which(program)]


def by_zipfile(path: Path) -> dict[str, bytes]:
    """What zipfile finds, checked."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def by_bsdtar(path: Path) -> dict[str, bytes]:
    """What bsdtar finds; names of folders end in a slash.

    libarchive tells names in a normal form, whatever they were; here it is form C.
    """
    found = {}
    with tarfile.open(
        fileobj=io.BytesIO(_run("bsdtar", "--format=pax", "-cf", "-", f"@{path}"))
    ) as tar:
        for each in tar:
            file = tar.extractfile(each)
            found[nfc(each.name) + "/" * each.isdir()] = b"" if file is None else file.read()
    return found


def check_by_unzip(path: Path, members: Mapping[str, bytes]) -> None:
    """Fail unless unzip finds nothing wrong, and these members: their names, and their bytes in a row."""
    assert b"No errors detected" in _run("unzip", "-tq", str(path))
    assert _run("unzip", "-Z1", str(path)).decode().splitlines() == list(members)
    # Of a member that is not the first of its kind it would ask which one is meant; there is none.
    assert _run("unzip", "-p", str(path)) == b"".join(members.values())


def _run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, env=_ENVIRON, check=False)
    assert (done.returncode, done.stderr) == (0, b""), (command, done.stderr, done.stdout[-500:])
    return done.stdout
