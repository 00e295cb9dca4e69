"""Copying blobs between stores: what arrives has the digest that its name says, or does not arrive."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import BinaryIO, NamedTuple

from hubrepo.kernel.base import Tell, tell_nobody
from hubrepo.kernel.blobs.comparing import named_by
from hubrepo.kernel.blobs.parallel import in_parallel
from hubrepo.kernel.blobs.stores import BlobMissing, Store, Stored

CHUNK = 1024**2


class BlobDamaged(Exception):
    """The bytes of that key are not those that its name says."""


def copy_blob(open_file: Callable[[], BinaryIO], target: Store, key: str) -> int:
    """Put what `open_file` opens at `key` of `target`; how many bytes.

    Raises BlobDamaged, BlobMissing.
    """
    names = named_by(key)
    stage = target.stage()
    try:
        with open_file() as file:
            while piece := file.read(CHUNK):
                stage.write(piece)
        if names is None or stage.digest != names[1]:
            raise BlobDamaged(key)
        target.promote(stage, key)
        return stage.size
    finally:
        stage.discard()


class Outcome(Enum):
    """What became of a blob that was to be copied."""

    COPIED = "copied"
    PRESENT = "there already"
    GONE = "gone, for it was released"
    DAMAGED = "not what its name says, and so not copied"


def copy_if_whole(open_file: Callable[[], BinaryIO], target: Store, key: str) -> Outcome:
    """Put what `open_file` opens at `key` of `target`, unless it is missing or damaged."""
    try:
        copy_blob(open_file, target, key)
    except BlobMissing:
        return Outcome.GONE
    except BlobDamaged:
        return Outcome.DAMAGED
    return Outcome.COPIED


@dataclass
class Copied:
    """What `copy_store` did: blobs and bytes that it copied, and blobs that were there already.

    `strange` files are no blobs, and stay where they are. `damaged` keys have other bytes than their
    names say, and were not copied.
    """

    blobs: int = 0
    size: int = 0
    present: int = 0
    strange: int = 0
    damaged: list[str] = field(default_factory=list)


class _Place(NamedTuple):
    """What lies at one key of both stores."""

    source: Stored
    target: Stored | None


def copy_store(
    source: Store, target: Store, *, deep: bool = False, tell: Tell = tell_nobody
) -> Copied:
    """Copy every blob that `target` does not have yet, so that it can be stopped and begun again.

    What is there already is taken for whole if its size is right, for only whole blobs ever appear;
    with `deep` it is read. `tell` is called with the bytes of each blob that is done.
    """
    copied, act = Copied(), partial(_copy, source, target, deep)
    for stored, outcome in in_parallel(act, _places(source, target, copied)):
        if outcome is Outcome.COPIED:
            copied.blobs += 1
            copied.size += stored.size
        elif outcome is Outcome.DAMAGED:
            copied.damaged.append(stored.key)
        else:
            # What is gone was released since it was listed: there is nothing to do either.
            copied.present += 1
        tell(stored.size)
    return copied


def _places(source: Store, target: Store, copied: Copied) -> Iterator[_Place]:
    there = target.list()
    other = next(there, None)
    for stored in source.list():
        while other is not None and other.key < stored.key:
            other = next(there, None)
        if named_by(stored.key) is None:
            copied.strange += 1
        else:
            same = other is not None and other.key == stored.key
            yield _Place(stored, other if same else None)


def _copy(source: Store, target: Store, deep: bool, place: _Place) -> tuple[Stored, Outcome]:
    stored, there = place.source, place.target
    is_there = there is not None and there.size == stored.size
    if is_there and (not deep or is_whole(target, stored.key)):
        return stored, Outcome.PRESENT
    return stored, copy_if_whole(partial(source.open, stored.key), target, stored.key)


def is_whole(store: Store, key: str) -> bool:
    """Whether the bytes at `key` are those that its name says. Raises BlobMissing."""
    names = named_by(key)
    with store.open(key) as file:
        return names is not None and digest_of(file) == names[1]


def digest_of(file: BinaryIO) -> str:
    """The hex SHA-256 of the rest of a file."""
    hashed = hashlib.sha256()
    while piece := file.read(CHUNK):
        hashed.update(piece)
    return hashed.hexdigest()
