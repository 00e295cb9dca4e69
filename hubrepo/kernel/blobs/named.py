"""The stores of a hub, by the names that rows have for them."""

import logging
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, exists, select

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import Misconfigured, random_hex
from hubrepo.kernel.blobs.models import MAIN, Blob
from hubrepo.kernel.blobs.stores import BlobMissing, Store, StoreUnavailable, open_store
from hubrepo.kernel.db import Database

log = logging.getLogger(__name__)

# So many organisations are looked for in a store: usually the first is there.
_OWNERS = 20


class Stores:
    """The main store, and those that a feature keeps its blobs in where its line in the ini says so.

    A name without a store of its own is the main store's.
    """

    def __init__(self, main: Store) -> None:
        self.main = main
        self._named = {MAIN: main}
        self._lines = {MAIN: "hubrepo.blobs"}

    def add(self, name: str, store: Store, line: str) -> None:
        """Let blobs that are kept in `name` lie in `store`, which the ini has in `line`."""
        self._named[name], self._lines[name] = store, line

    def __getitem__(self, name: str) -> Store:
        return self._named.get(name, self.main)

    def chosen(self, name: str) -> str:
        """The name under which a blob is put that belongs in `name`."""
        return name if name in self._named else MAIN

    def __iter__(self) -> Iterator[tuple[str, Store]]:
        """Each store with its name, the main one first."""
        return iter(self._named.items())

    def rows_of(self, name: str) -> ColumnElement[bool]:
        """Which rows tell of what lies in the store of that name."""
        store = self._named[name]
        # Names without a store of their own are the main store's.
        others = [other for other, each in self if each is not store]
        return Blob.store.not_in(others) if store is self.main else Blob.store == name

    def look_for_bytes(self, database: Database) -> None:
        """Raise Misconfigured if rows tell of blobs in a store that has nothing of any organisation.

        Then its disk is not mounted, or its line in the ini names another place. What lies in memory
        is gone with the process that had it: there, that is as it should be.
        """
        for name, store in self:
            if store.is_shared:
                mine = Blob.organisation_id == Organisation.id
                kept = exists().where(mine, Blob.doomed_at.is_(None), self.rows_of(name))
                owners = select(Organisation.guid).where(kept).limit(_OWNERS)
                with database.read() as db:
                    guids = db.scalars(owners).all()
                if guids and not any(self._has_bytes(name, guid.hex) for guid in guids):
                    raise Misconfigured(
                        f"{self._lines[name]} names a place that has none of the blobs that the database tells "
                        "of: is the disk mounted, and is it the right place?"
                    )

    def _has_bytes(self, name: str, organisation: str) -> bool:
        try:
            return next(self._named[name].list(organisation), None) is not None
        except StoreUnavailable:
            # It has been tried a moment ago: what is slow now is no wrong place.
            log.warning("could not look for bytes at %s", self._lines[name], exc_info=True)
            return True


def add_store(config: Any, name: str, url: str, line: str) -> None:
    """Directive: blobs that are kept in `name` lie in the store at `url`, which the ini has in `line`.

    Without a URL they lie in the main store. Raises Misconfigured.
    """
    if url:
        store, stores = open_store(url, line), config.registry.stores
        if are_one(stores.main, store):
            raise Misconfigured(f"{line} is the same place as hubrepo.blobs: leave it out")
        stores.add(name, store, line)
        config.add_health_check(name, store.ping)
    config.action(("store", name), None)


def are_one(store: Store, other: Store) -> bool:
    """Whether what is put in one appears in the other. To take one for two would be to remove its bytes."""
    stage, key = other.stage(), f".stage/probe-{random_hex(64)}"
    try:
        stage.write(b"probe")
        other.promote(stage, key)
        store.stat(key)
    except BlobMissing:
        return False
    finally:
        stage.discard()
        other.delete(key)
    return True
