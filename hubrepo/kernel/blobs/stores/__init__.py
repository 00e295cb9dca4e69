"""Where bytes lie. Only this package knows PyFilesystem2 and boto."""

from urllib.parse import unquote, urlsplit

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs.stores.failures import failure_of
from hubrepo.kernel.blobs.stores.filesystem import DiskStore, MemoryStore
from hubrepo.kernel.blobs.stores.interface import (
    BlobMissing,
    Stage,
    Store,
    Stored,
    StoreFull,
    StoreUnavailable,
)

_DRIVER = frozenset({"boto3", "botocore"})

__all__ = [
    "BlobMissing",
    "DiskStore",
    "MemoryStore",
    "Stage",
    "Store",
    "StoreFull",
    "StoreUnavailable",
    "Stored",
    "failure_of",
    "open_store",
]


def open_store(url: str, line: str = "hubrepo.blobs") -> Store:
    """The store at `url`, tried once by writing and reading. Raises Misconfigured.

    `line` is the line of the ini file that messages name.
    """
    scheme, rest = urlsplit(url).scheme, url.partition("://")[2]
    shown = f"{scheme}://…" if scheme == "s3" else url
    try:
        if scheme == "osfs" and rest:
            store: Store = DiskStore(unquote(rest))
        elif scheme == "mem" and not rest:
            store = MemoryStore()
        elif scheme == "s3" and rest:
            store, shown = _s3_store(url, line)
        else:
            raise Misconfigured(
                f"{line} must be osfs://… (a folder), s3://bucket/prefix or mem://, not {_mute(url)!r}"
            )
        store.probe()
    except (StoreUnavailable, StoreFull) as error:
        raise Misconfigured(
            f"{line}: {shown} cannot be written: {error.__cause__ or error}"
        ) from error
    return store


def _s3_store(url: str, line: str) -> tuple[Store, str]:
    """The store, and how messages name it. What it needs is loaded only where it is wanted."""
    try:
        from hubrepo.kernel.blobs.stores.s3_address import S3Address, WrongAddress
        from hubrepo.kernel.blobs.stores.s3_store import S3Store
    except ModuleNotFoundError as error:
        if error.name not in _DRIVER:
            raise
        raise Misconfigured(f"{line} needs a driver: pip install '.[s3]'") from error
    try:
        address = S3Address.parse(url)
    except WrongAddress as error:
        raise Misconfigured(f"{line} is no place on S3: {error}") from None
    return S3Store(address), str(address)


def _mute(url: str) -> str:
    """`url`, unless it may hold a password."""
    return "…" if set("@?") & set(url) else url
