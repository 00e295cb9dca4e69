"""Small reads of blobs, kept in memory.

Bytes that are named by their digest never change, so what was read once stays right; whether somebody
may have it is asked of the rows, each time. A file that many visitors want costs a look-up instead of
an open, a seek, a read and a close, each of which gives up the interpreter to another thread; or
instead of a request to S3.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import BinaryIO

from cachetools import LRUCache

SMALL = 64 * 1024

# What keeping something costs besides: the key, and the places of both.
OVERHEAD = 512


def _cost(data: bytes) -> int:
    return len(data) + OVERHEAD


class BlobMemory:
    """The small reads that were made last, in `most` bytes of memory."""

    def __init__(self, most: int = 0) -> None:
        self._reads: LRUCache[Hashable, bytes] = LRUCache(most, getsizeof=_cost)
        self._lock = Lock()

    def read(self, key: Hashable, length: int, open_file: Callable[[], BinaryIO]) -> bytes:
        """`length` bytes of what `open_file` opens; fewer only where it ends, and then not kept."""
        with self._lock:
            data = self._reads.get(key)
        if data is None:
            with open_file() as file:
                data = file.read(length)
            if len(data) == length and _cost(data) <= self._reads.maxsize:
                with self._lock:
                    self._reads[key] = data
        return data
