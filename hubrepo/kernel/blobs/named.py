"""The stores of a hub, by the names that rows have for them."""

from collections.abc import Iterator
from typing import Any

from hubrepo.kernel.base import Misconfigured, random_hex
from hubrepo.kernel.blobs.models import MAIN
from hubrepo.kernel.blobs.stores import BlobMissing, Store, open_store


class Stores:
    """The main store, and those that a feature keeps its blobs in where its line in the ini says so.

    A name without a store of its own is the main store's.
    """

    def __init__(self, main: Store) -> None:
        self.main = main
        self._named = {MAIN: main}

    def add(self, name: str, store: Store) -> None:
        """Let blobs that are kept in `name` lie in `store`."""
        self._named[name] = store

    def __getitem__(self, name: str) -> Store:
        return self._named.get(name, self.main)

    def chosen(self, name: str) -> str:
        """The name under which a blob is put that belongs in `name`."""
        return name if name in self._named else MAIN

    def __iter__(self) -> Iterator[tuple[str, Store]]:
        """Each store with its name, the main one first."""
        return iter(self._named.items())


def add_store(config: Any, name: str, url: str, line: str) -> None:
    """Directive: blobs that are kept in `name` lie in the store at `url`, which the ini has in `line`.

    Without a URL they lie in the main store. Raises Misconfigured.
    """
    if url:
        store, stores = open_store(url, line), config.registry.stores
        if are_one(stores.main, store):
            raise Misconfigured(f"{line} is the same place as hubrepo.blobs: leave it out")
        stores.add(name, store)
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
