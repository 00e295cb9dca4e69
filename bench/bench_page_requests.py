"""Promise: a page is served at half the speed of a bare file response, or faster.

A file of 10 KB of a published page, found in the database and cut out of its archive, with its access
log, validators and policies, is compared with a WSGI application of a dozen lines that opens a file
of the very same bytes and hands it to waitress, and knows no page, no database and no log. Both run
in a process of their own behind waitress with the same settings, and get the same requests from this
process, over four connections that are kept alive. Both have their turn in every round; medians are
compared.

Three answers are compared: a member that is stored; one that is deflated, for a client that takes
gzip, beside a file of the very same gzip bytes; and one that is deflated, for a client that does not,
beside a file of what it inflates to. The first two decide; the third is shown, for there the hub has
to do what the other side does not.
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from bench_detail import await_port, requests_per_second
from support import Verdict, folder, take_turns

from tests.support.process import Answer, HubProcess, Wire, free_port

SIZE = 10 * 1024
PATH = "docs/guide"
STORED, DEFLATED = "chapter/stored.html", "chapter/deflated.html"
LIKE_A_BROWSER = {"Accept": "text/html,*/*;q=0.8", "Accept-Encoding": "gzip, deflate, br, zstd"}
WITHOUT_GZIP = {"Accept": "text/html,*/*;q=0.8"}

BARE = """
import configparser, logging, os, sys
from waitress import serve

path, type_, coding = sys.argv[1], sys.argv[2], sys.argv[3]
settings = configparser.RawConfigParser()
settings.read(sys.argv[4])
settings = dict(settings["server:main"], listen=f"127.0.0.1:{sys.argv[5]}", _quiet=True)
settings.pop("use")

def send(environ, start_response):
    file = open(path, "rb")
    headers = [("Content-Type", type_), ("Content-Length", str(os.fstat(file.fileno()).st_size))]
    if coding:
        headers.append(("Content-Encoding", coding))
    start_response("200 OK", headers)
    return environ["wsgi.file_wrapper"](file, 262144)

logging.getLogger("waitress").setLevel(logging.ERROR)
serve(send, **settings)
"""


def site() -> bytes:
    """A page with the same 10 KB twice: stored, and deflated."""
    lines = (f"<p>Paragraph {number}: {number * number:o}</p>\n" for number in range(1000))
    content = "".join(lines).encode()[:SIZE]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.html", "<h1>Chapters</h1>")
        archive.writestr(STORED, content, zipfile.ZIP_STORED)
        archive.writestr(DEFLATED, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@contextmanager
def bare(hub: HubProcess, place: Path, answer: Answer) -> Iterator[int]:
    """The port of a bare application that sends what the hub has answered."""
    place.write_bytes(answer.body)
    port = free_port()
    headers = [answer.headers["content-type"], answer.headers.get("content-encoding", "")]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", BARE, place, *headers, hub.ini, str(port)]
    )
    try:
        await_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def compare(hub: HubProcess, place: Path, name: str, wish: Mapping[str, str]) -> dict[str, float]:
    """Requests a second of both sides, by four connections and by one."""
    with Wire(hub.port) as stranger:
        path = f"/pages/acme/{PATH}/{name}"
        answer = stranger.ask("GET", path, headers=wish)
        request = stranger.head("GET", path, wish)
    assert answer.status == 200
    with bare(hub, place, answer) as port:
        return take_turns(
            {
                "hub": lambda: requests_per_second(hub.port, request),
                "bare": lambda: requests_per_second(port, request),
                "hub alone": lambda: requests_per_second(hub.port, request, 1),
                "bare alone": lambda: requests_per_second(port, request, 1),
            }
        )


def show(verdict: Verdict, what: str, rates: Mapping[str, float]) -> float:
    """Both sides of a comparison; their ratio."""
    verdict.show(f"{what}: hub", rates["hub"], "requests/s")
    verdict.show(f"{what}: bare", rates["bare"], "requests/s")
    verdict.show(
        f"{what}: hub / bare, one connection", rates["hub alone"] / rates["bare alone"], ""
    )
    return rates["hub"] / rates["bare"]


def main() -> None:
    verdict = Verdict("a page of 10 KB beside a bare file response of waitress")
    with folder() as place, HubProcess(place) as hub:
        with hub.wire() as wire:
            assert wire.publish_page(site(), path=PATH).status == 201
        stored = compare(hub, place / "stored", STORED, LIKE_A_BROWSER)
        framed = compare(hub, place / "framed", DEFLATED, LIKE_A_BROWSER)
        inflated = compare(hub, place / "inflated", DEFLATED, WITHOUT_GZIP)
    ratio = show(verdict, "stored", stored)
    verdict.at_least("stored: hub / bare", ratio, 0.5)
    ratio = show(verdict, "deflated, sent as gzip", framed)
    verdict.at_least("deflated, sent as gzip: hub / bare", ratio, 0.5)
    ratio = show(verdict, "deflated, sent inflated", inflated)
    verdict.show("deflated, sent inflated: hub / bare", ratio, "")
    verdict.close()


if __name__ == "__main__":
    main()
