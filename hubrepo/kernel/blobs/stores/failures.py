"""How the errors of filesystems become a store's."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from hubrepo.kernel.blobs.stores.interface import BlobMissing, StoreFull, StoreUnavailable
from hubrepo.kernel.blobs.stores.pyfilesystem import errors

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_AILING = frozenset({
    errno.EIO, errno.EROFS, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EMFILE, errno.ENFILE,
})  # fmt: skip


@contextmanager
def failures(key: str = "") -> Iterator[None]:
    """Errors of `fs` and of the operating system, as a store's.

    What is missing is the blob `key`, where one is named; otherwise it is a part of the store.
    """
    try:
        yield
    except (
        errors.ResourceNotFound,
        errors.DirectoryExpected,
        FileNotFoundError,
        NotADirectoryError,
    ) as error:
        raise BlobMissing(key) if key else StoreUnavailable from error
    except (errors.FSError, OSError) as error:
        raise (StoreFull if _is_full(error) else StoreUnavailable) from error


def _is_full(error: Exception) -> bool:
    number = getattr(error, "errno", None) or getattr(error.__cause__, "errno", None)
    return isinstance(error, errors.InsufficientStorage) or number in _FULL


def failure_of(error: OSError) -> StoreUnavailable | StoreFull | None:
    """What to answer when reading or writing a file of ours failed; None for what is a defect."""
    if error.errno in _FULL:
        return StoreFull()
    return StoreUnavailable() if error.errno in _AILING else None
