"""Promise: publishing 100 MiB takes at most three times what hashing and copying them takes.

A package of 100 MiB whose members are compressed already is sent through a socket, checked member
by member, given its manifest and history, hashed, made durable and committed. The same file beside
it on the same filesystem gets `sha256sum`, `cp` and `sync`, the least that keeping it could cost.
Both have their turn in every round; medians are compared.
"""

import shutil
import subprocess
import time
from pathlib import Path

from support import MIB, Verdict, folder, publish_file, take_turns, write_archive

from tests.support.process import HubProcess, Wire

SETTINGS = {"uploads.max_size": str(128 * MIB)}


def publish(wire: Wire, archive: Path) -> float:
    """Seconds."""
    started = time.perf_counter()
    publish_file(wire, "large", archive)
    return time.perf_counter() - started


def hash_and_copy(archive: Path) -> float:
    """Seconds."""
    copy = archive.with_suffix(".copy")
    copy.unlink(missing_ok=True)
    started = time.perf_counter()
    subprocess.run(["sha256sum", archive], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cp", archive, copy], check=True)
    subprocess.run(["sync", copy], check=True)
    return time.perf_counter() - started


def main() -> None:
    verdict = Verdict("publishing 100 MiB beside sha256sum + cp + sync of the same file")
    with folder() as place, HubProcess(place, SETTINGS) as hub:
        archive = place / "large.zip"
        write_archive(archive, "large", members=50, size=2 * MIB)
        if shutil.disk_usage(place).free < 2048 * MIB:
            raise SystemExit("2 GiB of free space are needed")
        with hub.wire(timeout=120) as wire:
            seconds = take_turns(
                {"hub": lambda: publish(wire, archive), "files": lambda: hash_and_copy(archive)}
            )
    verdict.show("hub: from the first byte sent to 201", seconds["hub"], "s")
    verdict.show("sha256sum, cp, sync", seconds["files"], "s")
    verdict.at_most("hub / files", seconds["hub"] / seconds["files"], 3)
    verdict.close()


if __name__ == "__main__":
    main()
