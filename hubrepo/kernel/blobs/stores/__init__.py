"""Where bytes lie. Only this package knows PyFilesystem2."""

from urllib.parse import unquote, urlsplit

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs.stores.filesystem import DiskStore, MemoryStore
from hubrepo.kernel.blobs.stores.interface import (
    BlobMissing,
    Stage,
    Store,
    Stored,
    StoreFull,
    StoreUnavailable,
)

__all__ = [
    "BlobMissing",
    "DiskStore",
    "MemoryStore",
    "Stage",
    "Store",
    "StoreFull",
    "StoreUnavailable",
    "Stored",
    "open_store",
]


def open_store(url: str) -> Store:
    """The store at `url`, tried once by writing and reading. Raises Misconfigured."""
    scheme, rest = urlsplit(url).scheme, url.partition("://")[2]
    try:
        if scheme == "osfs" and rest:
            store: Store = DiskStore(unquote(rest))
        elif scheme == "mem" and not rest:
            store = MemoryStore()
        else:
            raise Misconfigured(f"hubrepo.blobs must be osfs://… (a folder) or mem://, not {url!r}")
        store.probe()
    except (StoreUnavailable, StoreFull) as error:
        raise Misconfigured(
            f"hubrepo.blobs: {url} cannot be written: {error.__cause__ or error}"
        ) from error
    return store
