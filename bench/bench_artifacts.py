"""Promise: 256 MiB are uploaded, and downloaded, in at most three times what hashing and copying takes.

A file is sent through a socket as a version of a product, hashed, made durable and committed, and
then received again by a client that keeps nothing. The same file beside it on the same filesystem
gets `sha256sum`, `cp` and `sync`, the least that keeping it could cost. All have their turn in every
round; medians are compared.
"""

import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

from support import MIB, Verdict, folder, take_turns

from tests.support.process import HubProcess
from tests.support.uploads import TokenWire, first_admin

SIZE = 256 * MIB
VERSIONS = itertools.count(1)


def write_file(path: Path) -> None:
    """Random bytes."""
    with path.open("wb") as file:
        for _ in range(0, SIZE, MIB):
            file.write(os.urandom(MIB))


def upload(wire: TokenWire, file: Path) -> float:
    """Seconds. Other bytes each time, for those that are there already need not be put again."""
    with file.open("r+b") as open_file:
        open_file.write(os.urandom(MIB))
    version = f"v{next(VERSIONS)}"
    started = time.perf_counter()
    wire.upload_file("engine", version, file)
    seconds = time.perf_counter() - started
    wire.ask("DELETE", f"/product/delete/engine/{version}")
    return seconds


def download(wire: TokenWire) -> float:
    """Seconds."""
    started = time.perf_counter()
    wire.begin("GET", "/product/download/engine/kept")
    status, headers = wire.receive_head()
    left, room = int(headers["content-length"]), bytearray(MIB)
    assert (status, left) == (200, SIZE)
    while left:
        count = wire.reader.readinto(memoryview(room)[: min(left, MIB)])  # type: ignore[attr-defined]
        assert count
        left -= count
    return time.perf_counter() - started


def hash_and_copy(file: Path) -> float:
    """Seconds."""
    copy = file.with_suffix(".copy")
    copy.unlink(missing_ok=True)
    started = time.perf_counter()
    subprocess.run(["sha256sum", file], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cp", file, copy], check=True)
    subprocess.run(["sync", copy], check=True)
    return time.perf_counter() - started


def main() -> None:
    verdict = Verdict("256 MiB up and down beside sha256sum + cp + sync of the same file")
    with folder() as place, HubProcess(place) as hub:
        if shutil.disk_usage(place).free < 4096 * MIB:
            raise SystemExit("4 GiB of free space are needed")
        file = place / "large.bin"
        write_file(file)
        with TokenWire(hub.port, first_admin(hub), timeout=120) as wire:
            assert wire.create("engine").status == 201
            kept = wire.upload_file("engine", "kept", file).json["checksum"]
            is_same = wire.checksum("engine", "kept") == kept
            seconds = take_turns(
                {
                    "files": lambda: hash_and_copy(file),
                    "upload": lambda: upload(wire, file),
                    "download": lambda: download(wire),
                }
            )
    verdict.show("sha256sum, cp, sync", seconds["files"], "s")
    verdict.show("upload: from the first byte sent to 201", seconds["upload"], "s")
    verdict.show("download: from the request to the last byte", seconds["download"], "s")
    verdict.at_most("upload / files", seconds["upload"] / seconds["files"], 3)
    verdict.at_most("download / files", seconds["download"] / seconds["files"], 3)
    verdict.holds("what comes down is what went up", kept=is_same)
    verdict.close()


if __name__ == "__main__":
    main()
