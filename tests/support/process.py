"""A hub in a process of its own, on a free port of this machine, and the wire to talk to it.

It is started as people start it, `hubrepo -c INI serve`, from a copy of the project's ini file: so
everything that it writes lies below the folder of the copy.
"""

import configparser
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from click.testing import CliRunner

from hubrepo.cli import main
from tests.support.leaks import note_token

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-c", "from hubrepo.cli import program; program()")
BOUNDARY = "5f9e2d1c-0a43-4f6b-9d55-1f9a3f6f7f10"

_KEY = re.compile(r"kpf_[0-9a-f]{8}_[A-Za-z0-9_-]{49}")
_TOKEN = re.compile(r"[0-9a-f]{48}")
_PATIENCE = 60.0


# Below those that the system gives to connections, and for each process of the tests some of its own:
# what is free now is still free when a server has started.
PORTS, PORTS_OF_EACH = range(16_000, 32_000), 1000


def free_port() -> int:
    """A port that nobody listens on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = PORTS.start + worker * PORTS_OF_EACH % len(PORTS)
    while True:
        port = first + secrets.randbelow(PORTS_OF_EACH)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def copy_of_development_ini(
    folder: Path, settings: Mapping[str, str], server: Mapping[str, str]
) -> Path:
    """The project's own ini file below `folder`, with these lines of `hubrepo.` and of the server."""
    ini = configparser.RawConfigParser()
    ini.optionxform = str  # type: ignore[method-assign,assignment]
    ini.read(PROJECT / "development.ini", encoding="utf-8")
    for key, value in settings.items():
        # In an ini file `%` begins what is put in its place.
        ini.set("app:main", f"hubrepo.{key}", value.replace("%", "%%"))
    for key, value in server.items():
        ini.set("server:main", key, value)
    path = folder / "hub.ini"
    with path.open("w", encoding="utf-8") as file:
        ini.write(file)
    return path


_CONNECTED, _LISTENS = "01", "0A"


def _sockets_at(port: int, state: str) -> Iterator[tuple[int, int]]:
    """The sockets of this machine's IPv4 at `port`: (port of the other end, inode)."""
    with Path("/proc/net/tcp").open(encoding="ascii") as table:
        next(table)
        for line in table:
            _, here, there, now, *_ = fields = line.split()
            if int(here.split(":")[1], 16) == port and now == state:
                yield int(there.split(":")[1], 16), int(fields[9])


@dataclass
class HubProcess:
    """A hub that runs while its `with` block does. `key` is that of its first organisation.

    Rows and bytes lie below the folder unless `settings` say otherwise (`database`, `blobs`); what
    those need besides, such as credentials, is in `environ`. With `workers`, so many processes answer.

    `stop` asks it to end, `kill` does not ask; `start` starts it again, on the same port, with the
    same data. Its output is in `log`.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    server: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    workers: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str | Path] = PROGRAM
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ini = copy_of_development_ini(self.folder, self.settings, self.server)
        self.log = self.folder / "hub.log"
        self.log.touch()
        # What the one who runs the tests has set is for another hub.
        theirs = {key: text for key, text in os.environ.items() if "HUBREPO_" not in key}
        self.environ = {**theirs, **self.environ}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def prefix(self) -> str:
        """What every URL of this hub begins with."""
        return self.server.get("url_prefix", "")

    @property
    def pid(self) -> int:
        """The number of the running process; with workers, their master's."""
        assert self.process is not None
        return self.process.pid

    @cached_property
    def key(self) -> str:
        """The key that the hub showed at its first start."""
        shown = _KEY.search(self.log.read_text(encoding="utf-8"))
        assert shown is not None, "the hub has shown no key"
        return shown[0]

    @property
    def worker_pids(self) -> list[int]:
        """The numbers of the processes that the running one has forked."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(number) for number in children.split()]

    @property
    def blobs(self) -> Path:
        """The folder that keeps the bytes, if one does."""
        scheme, _, place = self.blobs_url.partition("://")
        assert scheme == "osfs", f"bytes lie at {self.blobs_url}"
        return Path(place)

    @property
    def blobs_url(self) -> str:
        """The store that keeps the bytes."""
        return self.settings.get("blobs", f"osfs://{self.folder}/var/blobs")

    @property
    def database_url(self) -> str:
        """The database that keeps the rows."""
        return self.settings.get("database", f"sqlite:///{self.folder}/var/hub.sqlite")

    def start(self, log: int | None = None) -> None:
        """Start, and wait until the hub says that it is well. Its output may go to another file."""
        several = [] if self.workers == 1 else ["--workers", str(self.workers)]
        with ExitStack() as stack:
            output = stack.enter_context(self.log.open("ab")) if log is None else log
            self.process = subprocess.Popen(
                [*self.program, "-c", str(self.ini), "serve", "--port", str(self.port), *several],
                cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"the hub does not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def is_up(self) -> bool:
        """Whether it says that it is well, and all workers listen."""
        if self.workers > 1 and len(list(_sockets_at(self.port, _LISTENS))) < self.workers:
            return False
        try:
            with Wire(self.port, timeout=5) as wire:
                return wire.ask("GET", f"{self.prefix}/_ah/health").status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """End it as a service manager does, and by force if that takes long."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """SIGKILL: no handler runs, no buffer is flushed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def command(self, *arguments: str) -> str:
        """Run `hubrepo` with these arguments in this process and return what it prints.

        Raises CalledProcessError as `spawn` does.
        """
        done = CliRunner(catch_exceptions=False).invoke(
            main, ["-c", str(self.ini), *arguments], env=dict(self.environ)
        )
        if done.exit_code:
            raise subprocess.CalledProcessError(done.exit_code, arguments, done.stdout, done.stderr)
        return self._noted(done.stdout)

    def spawn(self, *arguments: str) -> str:
        """Do the same in a process of its own, as an operator does."""
        done = subprocess.run(
            [*self.program, "-c", str(self.ini), *arguments],
            cwd=self.folder, env=self.environ, check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return self._noted(done.stdout)

    @staticmethod
    def _noted(output: str) -> str:
        said = output.strip()
        return note_token(said) if _TOKEN.fullmatch(said) else said

    def organisation(self, slug: str) -> str:
        """Create an organisation and return a key of it."""
        return self.command("bootstrap-org", "--name", slug, "--slug", slug, "--quiet")

    def wire(self, timeout: float = 30) -> "Wire":
        """A connection with the key."""
        return Wire(self.port, self.key, timeout=timeout)

    def wires(self, stack: ExitStack, key: str | None = None) -> "dict[int, Wire]":
        """A connection to each worker, by its number. With another key, if one is given."""
        found: dict[int, Wire] = {}
        workers = set(self.worker_pids)
        for _ in range(200):
            wire = stack.enter_context(Wire(self.port, key or self.key))
            found.setdefault(self.worker_of(wire), wire)
            if workers <= set(found):
                return found
        raise AssertionError(f"of {workers} only {set(found)} answer")

    def worker_of(self, wire: "Wire") -> int:
        """The number of the worker that has the other end of a connection."""
        if wire.is_ending or wire.ask("GET", f"{self.prefix}/_ah/health").is_ending:
            raise AssertionError("this connection ends")
        own = wire.socket.getsockname()[1]
        (inode,) = (each for port, each in _sockets_at(self.port, _CONNECTED) if port == own)
        for pid in self.worker_pids:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):  # closed since it was listed
                    if link.readlink().name == f"socket:[{inode}]":
                        return pid
        raise AssertionError("no worker has this connection")


@dataclass(frozen=True)
class Answer:
    """An answer, whole. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    @property
    def is_ending(self) -> bool:
        """Whether the hub ends the connection with it."""
        return self.headers.get("connection") == "close"


class Closed(ConnectionError):
    """The hub closed the connection before it had answered."""


class Wire:
    """One connection, kept alive, on which exactly the bytes travel that are given.

    A new one takes its place once the hub has said `Connection: close`.
    """

    def __init__(
        self, port: int, key: str | None = None, timeout: float = 30, host: str | None = None,
        token: str | None = None,
    ) -> None:  # fmt: skip
        self._port, self._key, self._token, self._timeout = port, key, token, timeout
        self._host = host or f"127.0.0.1:{port}"
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), self._timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader: BinaryIO = self.socket.makefile("rb")
        self.is_ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.reader.close()
        self.socket.close()

    def head(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The bytes that go before a body."""
        lines = {"Host": self._host}
        if self._key is not None:
            lines["Authorization"] = f"Api-Key {self._key}"
        if self._token is not None:
            lines["X-Api-Token"] = self._token
        lines |= headers or {}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("ascii")

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, and read its answer."""
        if self.is_ending:
            self.close()
            self._connect()
        length = {"Content-Length": str(len(body))} if body else {}
        self.socket.sendall(self.head(method, path, {**(headers or {}), **length}) + body)
        return self.receive(method)

    def ask_json(self, method: str, path: str, value: object) -> Answer:
        """Send a request whose body is JSON, and read its answer."""
        content_type = {"Content-Type": "application/json; charset=utf-8"}
        return self.ask(method, path, json.dumps(value).encode(), content_type)

    def publish(
        self, name: str, archive: bytes, prefix: str = "", headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Answer:  # fmt: skip
        """Publish a version, as the desktop client does."""
        return self.ask(
            "POST",
            f"{prefix}/api/packages/{name}/versions/",
            multipart(name, archive, **fields),
            {"Content-Type": FORM_TYPE, **(headers or {})},
        )

    def publish_page(
        self, archive: bytes, prefix: str = "", headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Answer:  # fmt: skip
        """Publish a page, as the desktop client does: no slash at the end, a field for the path."""
        return self.ask(
            "POST",
            f"{prefix}/api/pages",
            multipart("page", archive, **fields),
            {"Content-Type": FORM_TYPE, **(headers or {})},
        )

    def receive(self, method: str = "GET") -> Answer:
        """The next answer, whole."""
        status, headers = self.receive_head()
        if method == "HEAD" or status in {204, 304} or status < 200:
            return Answer(status, headers, b"")
        length = headers.get("content-length")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"".join(self._chunks()))
        body = self.reader.read() if length is None else self.reader.read(int(length))
        if length is not None and len(body) != int(length):
            raise Closed
        return Answer(status, headers, body)

    def receive_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer; its body is still to be read."""
        first = self.reader.readline()
        if not first.endswith(b"\n"):
            raise Closed
        headers = {}
        while (line := self.reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if not line:
            raise Closed
        self.is_ending = headers.get("connection") == "close"
        return int(first.split()[1]), headers

    def _chunks(self) -> Iterable[bytes]:
        while size := int(self.reader.readline().split(b";")[0], 16):
            yield self.reader.read(size)
            self.reader.readline()
        self.reader.readline()


FORM_TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'


def multipart(name: str, archive: bytes, **fields: str) -> bytes:
    """A form as .NET writes it, with `archive` as its file."""
    before, after = around_file(f"{name}.zip", **fields)
    return before + archive + after


def around_file(filename: str, **fields: str) -> tuple[bytes, bytes]:
    """What goes before and after the bytes of the file, in a form as .NET writes it."""
    before = (
        f"--{BOUNDARY}\r\n"
        "Content-Type: application/zip\r\n"
        f"Content-Disposition: form-data; name=file; filename={filename};"
        f" filename*=utf-8''{filename}\r\n\r\n"
    )
    texts = "".join(
        f"\r\n--{BOUNDARY}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Disposition: form-data; name={name}\r\n\r\n{text}"
        for name, text in fields.items()
    )
    return before.encode(), f"{texts}\r\n--{BOUNDARY}--\r\n".encode()
