"""Promise: a transfer of 1 GiB takes at most 64 MiB of memory more than idling.

A package of 1 GiB is published, then downloaded, through a socket. What is compared is the peak of
resident memory of the hub's process, as the kernel counts it from the moment that the hub is warm
and idle. The client neither holds the file: it sends from the disk, and drops what it is sent.
"""

import hashlib

from support import MIB, Verdict, folder, publish_file, write_archive

from tests.support.archives import package_zip
from tests.support.memory import forget_peak, memory
from tests.support.process import HubProcess, Wire

GIB = 1024 * MIB
SETTINGS = {"uploads.max_size": str(2 * GIB), "archives.max_expanded": str(2 * GIB)}
SERVER = {"max_request_body_size": str(3 * GIB)}


def warm_up(wire: Wire) -> None:
    """Have everything imported, connected and cached that a small request needs."""
    for _ in range(20):
        name = "small"
        assert wire.publish(name, package_zip(name)).status == 201
        wire.ask("GET", f"/api/packages/{name}/latest/")
        wire.ask("GET", "/api/packages/")


def download(wire: Wire, name: str) -> str:
    """The hash of what the hub sends."""
    wire.socket.sendall(wire.head("GET", f"/api/packages/{name}/latest/"))
    status, headers = wire.receive_head()
    assert status == 200
    digest, left = hashlib.sha256(), int(headers["content-length"])
    while left:
        piece = wire.reader.read(min(MIB, left))
        left -= len(piece)
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def main() -> None:
    verdict = Verdict("memory of the hub while 1 GiB is published and downloaded")
    with folder() as place, HubProcess(place, SETTINGS, SERVER) as hub:
        archive = place / "huge.zip"
        write_archive(archive, "huge", members=64, size=16 * MIB)
        with hub.wire(timeout=300) as wire:
            warm_up(wire)
            idle = memory(hub.pid, "VmRSS")
            forget_peak(hub.pid)
            published = publish_file(wire, "huge", archive).json
            publishing = memory(hub.pid, "VmHWM")
            forget_peak(hub.pid)
            digest = download(wire, "huge")
            downloading = memory(hub.pid, "VmHWM")
    verdict.show("idle", idle, "MiB")
    verdict.show("peak while publishing", publishing, "MiB")
    verdict.show("peak while downloading", downloading, "MiB")
    verdict.at_most("publishing: MiB above idle", publishing - idle, 64)
    verdict.at_most("downloading: MiB above idle", downloading - idle, 64)
    verdict.holds("the download is what was published", kept=digest == published["content_hash"])
    verdict.close()


if __name__ == "__main__":
    main()
