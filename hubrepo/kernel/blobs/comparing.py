"""Rows beside bytes: what the database says is there, and what the stores have.

Both come in the order of keys, so a hub of any size is compared in little memory, with one listing, a query
for a thousand rows, and no request for each blob.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import ColumnElement, select

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import HubError
from hubrepo.kernel.blobs.models import Blob
from hubrepo.kernel.blobs.named import Stores
from hubrepo.kernel.blobs.stores import Stored
from hubrepo.kernel.db import Database

_KEY = re.compile(r"([0-9a-f]{32})/([0-9a-f]{2})/([0-9a-f]{62})")
_AT_ONCE = 1000


def key_of(organisation: str, digest: str) -> str:
    """Where the bytes of that digest lie, for an organisation's GUID in hex. No two share any."""
    return f"{organisation}/{digest[:2]}/{digest[2:]}"


def named_by(key: str) -> tuple[str, str] | None:
    """The organisation's GUID in hex and the digest that make `key`; None for what is no blob's."""
    match = _KEY.fullmatch(key)
    return (match[1], match[2] + match[3]) if match else None


class OutOfOrder(HubError):
    """What is compared in one pass does not come in the order of keys: nothing follows from it."""

    code = "out-of-order"


class Keyed(Protocol):
    """What has a key."""

    @property
    def key(self) -> str:
        """Where bytes lie."""


K = TypeVar("K", bound=Keyed)


def ascending(what: str, things: Iterable[K]) -> Iterator[K]:
    """The same things, as long as each key is greater than the one before. Raises OutOfOrder.

    `what` names them.
    """
    last = ""
    for each in things:
        if each.key <= last:
            raise OutOfOrder(f"{what} are not in the order of keys: {last} came before {each.key}")
        last = each.key
        yield each


class BlobFacts(NamedTuple):
    """A blob as its row describes it. `guid` is its organisation's, in hex."""

    id: int
    guid: str
    digest: str
    size: int
    doomed: bool
    store: str

    @property
    def key(self) -> str:
        """Where its bytes lie."""
        return key_of(self.guid, self.digest)


class Pair(NamedTuple):
    """A key as the rows and as the store named `store` know it; None is what one of them does not."""

    store: str
    row: BlobFacts | None
    stored: Stored | None


BLOB_FACTS = (
    select(
        Blob.id, Organisation.guid, Blob.digest, Blob.size, Blob.doomed_at.is_not(None), Blob.store
    )
    .join(Organisation, Organisation.id == Blob.organisation_id)
    .order_by(Organisation.guid, Blob.digest)
)


def facts_of(row: Any) -> BlobFacts:
    """A row of BLOB_FACTS."""
    return BlobFacts(row[0], row[1].hex, *row[2:])


def compare(database: Database, stores: Stores) -> Iterator[Pair]:
    """All that rows and stores know.

    They are not read at one moment: while the hub is serving, look again at what does not agree.
    """
    for name, store in stores:
        rows = ascending("the rows of blobs", _rows(database, stores.rows_of(name)))
        yield from _merge(name, rows, store.list())


def _rows(database: Database, here: ColumnElement[bool]) -> Iterator[BlobFacts]:
    """All blobs, in the order of their keys: some at a time, for a long read would burden a database."""
    with database.read() as db:
        owners = db.execute(select(Organisation.id, Organisation.guid)).all()
    for owner, _ in sorted(owners, key=lambda each: each[1].hex):
        last = ""
        while True:
            query = BLOB_FACTS.where(Blob.organisation_id == owner, Blob.digest > last, here)
            with database.read() as db:
                some = db.execute(query.limit(_AT_ONCE)).all()
            yield from map(facts_of, some)
            if len(some) < _AT_ONCE:
                break
            last = some[-1].digest


def _merge(name: str, rows: Iterator[BlobFacts], listing: Iterator[Stored]) -> Iterator[Pair]:
    row = next(rows, None)
    for stored in listing:
        if named_by(stored.key) is None:
            yield Pair(name, None, stored)
            continue
        while row is not None and row.key < stored.key:
            yield Pair(name, row, None)
            row = next(rows, None)
        if row is not None and row.key == stored.key:
            yield Pair(name, row, stored)
            row = next(rows, None)
        else:
            yield Pair(name, None, stored)
    while row is not None:
        yield Pair(name, row, None)
        row = next(rows, None)
