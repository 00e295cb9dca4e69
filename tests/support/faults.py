"""Faults at every step in which a hub meets the world outside its process.

A step is a call of the operating system below watched folders, a statement or a COMMIT, a request to
S3. `Faults` counts the steps of what is done within `watching`, and at the one that it is told of
lets happen what its mode says, before the step or once it took effect: an error, or the end of the
process. Steps are met where libraries meet the system, so nothing of the hub knows of them.
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
from typing import Any, TypeVar

import fs.osfs
import pytest

try:
    import psycopg
    from botocore import exceptions as boto
    from botocore.awsrequest import AWSResponse
    from botocore.httpsession import URLLib3Session
except ModuleNotFoundError:  # pragma: no cover - a hub on disk and SQLite needs neither
    psycopg = None  # type: ignore[assignment]

Result = TypeVar("Result")
Act = Callable[[], Any]


class Mode(Enum):
    """What happens at a step."""

    FAILS = "fails"
    FAILS_AFTERWARDS = "fails once done"
    STAYS_AWAY = "fails from here on"
    DIES = "dies"
    DIES_AFTERWARDS = "dies once done"

    @property
    def is_deadly(self) -> bool:
        """Whether the process ends."""
        return self in {Mode.DIES, Mode.DIES_AFTERWARDS}


@dataclass
class Step:
    """A call, and what it is: `half` does it by half, `fail` and `vanish` raise what a failure raises.

    `fail` is for one that may pass, `vanish` for one that lasts.
    """

    name: str
    act: Act
    fail: Act
    vanish: Act
    half: Act | None = None


@dataclass
class Faults:
    """Steps of what is done within `watching`, and a fault at the one numbered `at`, from 1 on."""

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
        """Count steps, and let the fault happen at step `at`; 0: at none."""
        self.steps, self.at, self.mode, self.was_hit = [], at, mode, False
        self._is_watching = True
        try:
            yield
        finally:
            self._is_watching = False

    def hang_up(self) -> None:
        """Close connections to S3: one that is shared with a forked process is of no use to either."""
        for each in self.sessions:
            each.close()

    def meet(self, step: Step) -> Any:
        """Take a step."""
        if not self._is_watching:
            return step.act()
        with self._lock:
            self.steps.append(step.name)
            number = len(self.steps)
            is_hit = number == self.at
            self.was_hit |= is_hit
        if self.mode is Mode.STAYS_AWAY and self.was_hit:
            return step.vanish()
        if not is_hit:
            return step.act()
        return self._happen(step)

    def _happen(self, step: Step) -> Any:
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
        """Whether a path, or what a descriptor leads to, lies in a watched folder."""
        if not self._is_watching:
            return False
        path = _where(place) if isinstance(place, int) else os.fsdecode(place)
        if folder is not None:
            path = f"{_where(folder)}/{path}"
        return any(path.startswith(str(each)) for each in self.folders)


def _where(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _raise(error: BaseException) -> None:
    raise error


def _system_error(number: int) -> Act:
    # Made anew each time: a traceback that grows with each raise would keep everything alive.
    return lambda: _raise(OSError(number, os.strerror(number)))


_BROKEN, _FULL = _system_error(errno.EIO), _system_error(errno.ENOSPC)


class _File(io.FileIO):
    """A file whose reads and writes are steps."""

    def __init__(self, faults: Faults, path: Any, mode: str) -> None:
        self._faults = faults
        super().__init__(path, mode)

    def write(self, data: Any, /) -> int:
        act, half = super().write, memoryview(data)[: len(data) // 2]
        step = Step("write", partial(act, data), _FULL, _FULL, partial(act, half))
        written: int = self._faults.meet(step)
        return written

    def readinto(self, buffer: Any, /) -> int:
        act = partial(super().readinto, buffer)
        count: int = self._faults.meet(Step("read", act, _BROKEN, act))
        return count


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


def _call(
    faults: Faults, name: str, real: Callable[..., Any], *, fills: bool
) -> Callable[..., Any]:
    """`real`, a function of `os` whose first argument is a path or a descriptor, as a step."""

    def called(place: Any = ".", *rest: Any, **named: Any) -> Any:
        act = partial(real, place, *rest, **named)
        if not faults.watches(place, named.get("dir_fd")):
            return act()
        return faults.meet(Step(name, act, _BROKEN, _FULL if fills else act))

    return called


# By the names that `os` has for them: what they are called in tables, and whether a full disk
# refuses them.
_CALLS = {
    "fsync": ("fsync", True),
    "replace": ("rename", True),
    "rename": ("rename", True),
    "mkdir": ("make a folder", True),
    "remove": ("remove", False),
    "unlink": ("remove", False),
    "rmdir": ("remove", False),
    "scandir": ("list", False),
    "listdir": ("list", False),
}


def _watch_files(faults: Faults, patch: pytest.MonkeyPatch) -> None:
    for function, (name, fills) in _CALLS.items():
        patch.setattr(os, function, _call(faults, name, getattr(os, function), fills=fills))
    patch.setattr(fs.osfs, "scandir", os.scandir)
    opener = _opener(faults)
    patch.setattr(io, "open", opener)
    patch.setattr(builtins, "open", opener)


def _statement(statement: str) -> str:
    return (str(statement).split() or ["ping"])[0].lower()


def _sqlite_error(sentence: str, code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(sentence)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


def _watch_sqlite(faults: Faults, patch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise _sqlite_error("disk I/O error", sqlite3.SQLITE_IOERR, "SQLITE_IOERR")

    def full() -> None:
        raise _sqlite_error("database or disk is full", sqlite3.SQLITE_FULL, "SQLITE_FULL")

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
    """The body of an answer without one."""

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
    """Faults in databases, in S3, and in what is done to files below `folders`."""
    faults = Faults(folders)
    with pytest.MonkeyPatch.context() as patch:
        _watch_files(faults, patch)
        _watch_sqlite(faults, patch)
        if psycopg is not None:
            _watch_postgresql(faults, patch)
            _watch_s3(faults, patch)
        yield faults
