"""Promise: an authenticated package detail runs at half the speed of a bare view, or faster.

`GET /api/packages/<name>` of a package with three versions and an alias, with its key check, its
rows and its access log, is compared with a Pyramid application of a dozen lines that answers a JSON
document of the same size and knows no key, no database and no log. Both run in a process of their
own behind waitress with the same settings, and get the same requests from this process, over
connections that are kept alive. Both have their turn in every round; medians are compared. Four
connections decide; what a single one gets is shown beside them.
"""

import select
import socket
import subprocess
import sys
import time

from support import Verdict, folder, take_turns

from tests.support.archives import package_zip
from tests.support.process import HubProcess, Wire, free_port

CONNECTIONS = 4
SECONDS = 1.0

BARE = """
import configparser, json, logging, sys
from pyramid.config import Configurator
from waitress import serve

document = json.loads(open(sys.argv[1]).read())
settings = configparser.RawConfigParser()
settings.read(sys.argv[2])
settings = dict(settings["server:main"], listen=f"127.0.0.1:{sys.argv[3]}", _quiet=True)
settings.pop("use")

def show(request):
    return document

config = Configurator()
config.add_route("show", "/api/packages/{name}")
config.add_view(show, route_name="show", renderer="json")
logging.getLogger("waitress").setLevel(logging.ERROR)
serve(config.make_wsgi_app(), **settings)
"""


class Caller:
    """A connection that sends the same request again and again."""

    def __init__(self, port: int, request: bytes, size: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request, self.size, self.got = request, size, 0

    def fileno(self) -> int:
        """What `epoll` asks for."""
        return self.socket.fileno()

    def send(self) -> None:
        """Ask once more."""
        self.socket.sendall(self.request)

    def is_answered(self) -> bool:
        """Take what has come; whether it was the rest of an answer."""
        data = self.socket.recv(65536)
        if not data or (not self.got and not data.startswith(b"HTTP/1.1 200 ")):
            raise ConnectionError(data[:200])
        self.got += len(data)
        if self.got < self.size:
            return False
        self.got -= self.size
        return True


def requests_per_second(port: int, request: bytes, connections: int = CONNECTIONS) -> float:
    """How many answers a second, from all connections together."""
    callers = [Caller(port, request, answer_size(port, request)) for _ in range(connections)]
    poll = select.epoll()
    by_number = {each.fileno(): each for each in callers}
    for each in callers:
        poll.register(each, select.EPOLLIN)
        each.send()
    answers, started = 0, time.perf_counter()
    while (now := time.perf_counter()) < started + SECONDS:
        for number, _ in poll.poll(1):
            if by_number[number].is_answered():
                answers += 1
                by_number[number].send()
    for each in callers:
        each.socket.close()
    return answers / (now - started)


def answer_size(port: int, request: bytes) -> int:
    """The bytes of one answer; every answer of a side has as many."""
    with Wire(port) as wire:
        wire.socket.sendall(request)
        _, headers = wire.receive_head()
        body = wire.reader.read(int(headers["content-length"]))
        wire.socket.sendall(request)
        time.sleep(0.2)
        seen = len(wire.socket.recv(65536))
    assert seen > len(body)
    return seen


def main() -> None:
    verdict = Verdict("package detail beside a bare Pyramid view")
    with folder() as place, HubProcess(place) as hub:
        with hub.wire() as wire:
            for number in range(3):
                wire.publish("widget", package_zip("widget", readme=f"{number}\n"), summary="A fix")
            wire.ask_json("PUT", "/api/packages/widget/aliases/stable/", {"version": 2})
            detail = wire.ask("GET", "/api/packages/widget")
            request = wire.head("GET", "/api/packages/widget")
        document = place / "document.json"
        document.write_bytes(detail.body)
        port = free_port()
        bare = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", BARE, document, hub.ini, str(port)]
        )
        try:
            compare(verdict, hub.port, port, request)
        finally:
            bare.terminate()
            bare.wait()
    verdict.close()


def compare(verdict: Verdict, hub: int, bare: int, request: bytes) -> None:
    await_port(bare)
    rates = take_turns(
        {
            "hub": lambda: requests_per_second(hub, request),
            "bare": lambda: requests_per_second(bare, request),
            "hub alone": lambda: requests_per_second(hub, request, 1),
            "bare alone": lambda: requests_per_second(bare, request, 1),
        },
        rounds=9,
    )
    verdict.show("hub: key, three versions, two aliases", rates["hub"], "requests/s")
    verdict.show("bare Pyramid: the same JSON, nothing looked up", rates["bare"], "requests/s")
    verdict.show("hub, a single connection", rates["hub alone"], "requests/s")
    verdict.show("bare Pyramid, a single connection", rates["bare alone"], "requests/s")
    verdict.show("hub / bare, a single connection", rates["hub alone"] / rates["bare alone"], "")
    verdict.at_least("hub / bare", rates["hub"] / rates["bare"], 0.5)


def await_port(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise ConnectionError(port)


if __name__ == "__main__":
    main()
