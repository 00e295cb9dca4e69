"""What a store of bytes promises. `tests/contracts/store.py` is the same in executable form."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, ClassVar

from hubrepo.kernel.base import HubError, Unavailable


class BlobMissing(Exception):
    """There are no bytes of that key."""


RETRY_AFTER = {"Retry-After": "1"}


class StoreUnavailable(Unavailable):
    """The store cannot be reached, or cannot write. Says when to come back."""

    code = "store-unavailable"
    message = "the store of files is not available, try again"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers=RETRY_AFTER)


class StoreFull(HubError):
    """There is no room left."""

    status = 507
    code = "store-full"
    message = "the store of files is full"


@dataclass(frozen=True)
class Stored:
    """Bytes that lie in a store: how many, and when they were last put."""

    key: str
    size: int
    modified: datetime


class Stage(ABC):
    """Bytes on their way in: written once from start to end, hashed on the way, visible to nobody.

    A stage ends in `Store.promote` or in `discard`; discarding twice, or after promotion, is harmless.
    """

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Hex SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes, /) -> None:
        """Append `data`."""
        self._append(data)
        self._hash.update(data)
        self.size += len(data)

    @abstractmethod
    def _append(self, data: bytes) -> None: ...

    @abstractmethod
    def reader(self) -> BinaryIO:
        """A seekable file over what was written; the caller closes it."""

    @abstractmethod
    def sync(self) -> None:
        """Make durable what was written so far, so that `promote` has little left to wait for."""

    @abstractmethod
    def discard(self) -> None:
        """Remove the bytes."""


class Store(ABC):
    """A drawer of bytes, each under a key that is written once.

    Errors: BlobMissing where there is nothing; StoreUnavailable or StoreFull where the store fails.
    `is_shared` tells whether other processes see the same bytes; `is_remote`, whether reading a file
    may have to wait for a network.
    """

    is_shared: ClassVar[bool] = True
    is_remote: ClassVar[bool] = False

    @abstractmethod
    def stage(self) -> Stage:
        """A new, empty stage."""

    @abstractmethod
    def promote(self, stage: Stage, key: str) -> None:
        """Put the bytes of `stage` at `key`: whole, durable and visible when this returns.

        Bytes that lie there already are the same (the key tells their digest); their `modified`
        becomes now.
        """

    @abstractmethod
    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """A file that stands at the byte `start`; at most `length` bytes from there will be read."""

    @abstractmethod
    def stat(self, key: str) -> Stored:
        """Size and age of the bytes at `key`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the bytes at `key`, for good when this returns; nothing there is fine."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Stored]:
        """All bytes whose key starts with the folder `prefix`, in the order of keys, as a stream."""

    @abstractmethod
    def sweep_stages(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove stages last written before `before`, left by processes that died; how many.

        With `dry_run` they are only counted.
        """

    def link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """An address at which whoever has it may read the bytes at `key` for `seconds`.

        The answer there carries `headers`: Content-Type, Content-Disposition, Cache-Control. None
        where the store has no such addresses. Whether there are bytes is not looked at.
        """
        return None

    @abstractmethod
    def probe(self) -> None:
        """Write, read and remove something. Raises StoreUnavailable, with the reason as its cause."""

    @abstractmethod
    def ping(self) -> None:
        """Look whether the store is there, without writing. Raises StoreUnavailable."""
