"""Faults at every step in which a hub meets the world outside its process.

A step is a call of the operating system below watched folders, a statement, a COMMIT, or a request to S3.
`Faults` counts the steps within `watching`, and raises an error or ends the process at one of them,
before or after its effect. Libraries are patched where they call the system; the hub is not.
"""

import builtins
import errno
import io
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import fs.osfs
import psycopg
import pytest
from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

Act = Callable[[], Any]


class Mode(Enum):
    """A kind of fault."""

    FAILS = "fails"
    FAILS_AFTERWARDS = "fails once done"
    STAYS_AWAY = "fails from here on"
    DIES = "dies"
    DIES_AFTERWARDS = "dies once done"

    @property
    def is_deadly(self) -> bool:
        return self in {Mode.DIES, Mode.DIES_AFTERWARDS}


@dataclass
class Step:
    """A call. `half` does half of it; `fail` raises an error that passes, `vanish` one that lasts."""

    name: str
    act: Act
    fail: Act
    vanish: Act
    half: Act | None = None


@dataclass
class Faults:
    """The steps within `watching`, and a fault at the one numbered `at`, from 1 on."""

    folders: Sequence[Path] = ()
    steps: list[str] = field(default_factory=list)
    at: int = 0
    mode: Mode = Mode.FAILS
    was_hit: bool = False
    sessions: set[Any] = field(default_factory=set)
    _is_watching: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def watching(self, at: int = 0, mode: Mode = Mode.FAILS) -> Iterator[None]:
        """Count steps, and inject the fault at step `at`; 0: at none."""
        self.steps, self.at, self.mode, self.was_hit = [], at, mode, False
        self._is_watching = True
        try:
            yield
        finally:
            self._is_watching = False

    def hang_up(self) -> None:
        """Close connections to S3, which cannot be shared with a forked process."""
        for each in self.sessions:
            each.close()

    def meet(self, step: Step) -> Any:
        if not self._is_watching:
            return step.act()
        with self._lock:
            self.steps.append(step.name)
            is_hit = len(self.steps) == self.at
            self.was_hit |= is_hit
        if self.mode is Mode.STAYS_AWAY and self.was_hit:
            return step.vanish()
        if not is_hit:
            return step.act()
        try:
            if self.mode in {Mode.FAILS_AFTERWARDS, Mode.DIES_AFTERWARDS}:
                done = (step.half or step.act)()
                if isinstance(done, io.FileIO):
                    done.close()
        finally:
            if self.mode.is_deadly:
                os.kill(os.getpid(), signal.SIGKILL)
        return step.fail()

    def watches(self, place: Any, folder: int | None = None) -> bool:
        """True if a path, or the file of a descriptor, lies in a watched folder."""
        if not self._is_watching:
            return False
        path = _where(place) if isinstance(place, int) else os.fsdecode(place)
        if folder is not None:
            path = f"{_where(folder)}/{path}"
        return any(path.startswith(str(each)) for each in self.folders)


def _where(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _raising(kind: type[Exception], *arguments: Any, **attributes: Any) -> Act:
    def act() -> None:
        error = kind(*arguments)
        vars(error).update(attributes)
        raise error

    return act


_BROKEN = _raising(OSError, errno.EIO, os.strerror(errno.EIO))
_FULL = _raising(OSError, errno.ENOSPC, os.strerror(errno.ENOSPC))


class _File(io.FileIO):
    """A file whose reads and writes are steps."""

    def __init__(self, faults: Faults, path: Any, mode: str) -> None:
        self._faults = faults
        super().__init__(path, mode)

    def write(self, data: Any, /) -> int:
        act, half = super().write, memoryview(data)[: len(data) // 2]
        step = Step("write", partial(act, data), _FULL, _FULL, partial(act, half))
        return self._faults.meet(step)

    def readinto(self, buffer: Any, /) -> int:
        act = partial(super().readinto, buffer)
        return self._faults.meet(Step("read", act, _BROKEN, act))


def _opener(faults: Faults) -> Any:
    real = io.open

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if "b" not in mode or isinstance(file, int) or not faults.watches(file):
            return real(file, mode, buffering, *rest, **named)
        act = partial(_File, faults, file, mode.replace("b", ""))
        reads = mode.strip("b") == "r"
        vanish = act if reads else _FULL
        raw = faults.meet(Step("open to read" if reads else "open to write", act, _BROKEN, vanish))
        if buffering == 0:
            return raw
        if "+" in mode:
            return io.BufferedRandom(raw)
        return io.BufferedReader(raw) if reads else io.BufferedWriter(raw)

    return opened


def _call(faults: Faults, name: str, real: Act, *, fills: bool) -> Act:
    """Make a function of `os` a step. Its first argument is a path or a descriptor."""

    def called(place: Any = ".", *rest: Any, **named: Any) -> Any:
        act = partial(real, place, *rest, **named)
        if not faults.watches(place, named.get("dir_fd")):
            return act()
        return faults.meet(Step(name, act, _BROKEN, _FULL if fills else act))

    return called


# The steps of functions of `os`, and whether a full disk refuses them.
_CALLS = {
    "fsync": ("fsync", True), "replace": ("rename", True), "rename": ("rename", True),
    "mkdir": ("make a folder", True), "remove": ("remove", False), "unlink": ("remove", False),
    "rmdir": ("remove", False), "scandir": ("list", False), "listdir": ("list", False),
}  # fmt: skip


def _watch_files(faults: Faults, patch: pytest.MonkeyPatch) -> None:
    for function, (name, fills) in _CALLS.items():
        patch.setattr(os, function, _call(faults, name, getattr(os, function), fills=fills))
    patch.setattr(fs.osfs, "scandir", os.scandir)
    opener = _opener(faults)
    patch.setattr(io, "open", opener)
    patch.setattr(builtins, "open", opener)


def _statement(statement: str) -> str:
    return (str(statement).split() or ["ping"])[0].lower()


def _watch_sqlite(faults: Faults, patch: pytest.MonkeyPatch) -> None:
    fail = partial(_raising, sqlite3.OperationalError)
    broken = fail("disk I/O error", sqlite_errorcode=10, sqlite_errorname="SQLITE_IOERR")
    full = fail("database is full", sqlite_errorcode=13, sqlite_errorname="SQLITE_FULL")

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, *values: Any) -> Any:
            act = partial(super().execute, statement, *values)
            writes = _statement(statement) not in {"select", "pragma", "begin"}
            return faults.meet(Step(_statement(statement), act, broken, full if writes else act))

        def executemany(self, statement: str, *values: Any) -> Any:
            act = partial(super().executemany, statement, *values)
            return faults.meet(Step(_statement(statement), act, broken, full))

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            if self.in_transaction:
                faults.meet(Step("commit", super().commit, broken, full))

    connect = sqlite3.connect
    for module in (sqlite3, sqlite3.dbapi2):
        patch.setattr(module, "connect", partial(connect, factory=Connection))


def _watch_postgresql(faults: Faults, patch: pytest.MonkeyPatch) -> None:
    def lost(connection: Any) -> None:
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    def wrap(kind: Any, method: str) -> None:
        real = getattr(kind, method)

        def called(self: Any, *values: Any, **named: Any) -> Any:
            name = _statement(values[0]) if values else method
            lose = partial(lost, getattr(self, "connection", self))
            act = partial(real, self, *values, **named)
            return faults.meet(Step(name, act, lose, lose))

        patch.setattr(kind, method, called)

    for method in ("execute", "executemany"):
        wrap(psycopg.Cursor, method)
    wrap(psycopg.ServerCursor, "execute")
    wrap(psycopg.Connection, "commit")


class _Nothing(io.BytesIO):
    """An empty body."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


def _watch_s3(faults: Faults, patch: pytest.MonkeyPatch) -> None:
    real = URLLib3Session.send

    def send(self: Any, request: Any) -> Any:
        faults.sessions.add(self)

        def fail() -> Any:
            if faults.mode is Mode.FAILS:
                return AWSResponse(request.url, 500, {}, _Nothing())
            raise boto.ConnectionClosedError(endpoint_url=request.url)

        def refuse() -> None:
            raise boto.EndpointConnectionError(endpoint_url=request.url)

        name = f"{request.method} of S3"
        return faults.meet(Step(name, partial(real, self, request), fail, refuse))

    patch.setattr(URLLib3Session, "send", send)


@contextmanager
def faults_below(*folders: Path) -> Iterator[Faults]:
    """Patch databases, S3, and access to files below `folders`."""
    faults = Faults(folders)
    with pytest.MonkeyPatch.context() as patch:
        _watch_files(faults, patch)
        _watch_sqlite(faults, patch)
        _watch_postgresql(faults, patch)
        _watch_s3(faults, patch)
        yield faults
