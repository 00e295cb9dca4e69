"""Bytes of a store beyond the network, brought here before they are sent.

Waitress reads what it sends in the one thread that looks after all connections: a store that falls
silent would stop it. And what breaks off on the way here is a 503 still, not half an answer.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from io import FileIO
from time import monotonic
from typing import BinaryIO, cast

from hubrepo.kernel.blobs.stores.failures import failures

CHUNK = 64 * 1024

# More is sent as it comes: whoever waits for the first byte would wait for long.
MOST = 64 * 1024**2

# Seconds after which that goes for what is slow, too.
PATIENCE = 4.0


class _Begun:
    """What came in time, and behind it what is still to come: for a thread that may wait."""

    is_remote = True

    def __init__(self, local: BinaryIO, rest: BinaryIO) -> None:
        self._local, self._rest = local, rest

    def read(self, size: int) -> bytes:
        """At most `size` bytes, and none only at the end."""
        return self._local.read(size) or self._rest.read(size)

    def close(self) -> None:
        """Close both."""
        with self._local, self._rest:
            pass


def fetched(open_file: Callable[[], BinaryIO], length: int) -> BinaryIO:
    """The next `length` bytes of what `open_file` opens, as a local file without a name.

    If that takes too long, what is read goes on in the opened one where the local one ends.
    Raises EOFError if there are fewer, StoreUnavailable, StoreFull if there is no room for them, and
    whatever `open_file` raises.
    """
    deadline = monotonic() + PATIENCE
    with ExitStack() as opened:
        file = opened.enter_context(open_file())
        with failures():
            local = opened.enter_context(tempfile.TemporaryFile(buffering=0))
            while length and monotonic() < deadline:
                piece = file.read(min(CHUNK, length))
                if not piece:
                    raise EOFError("the file ends early")
                _write_all(local, piece)
                length -= len(piece)
            local.seek(0)
        opened.pop_all()
    if length:
        return cast("BinaryIO", _Begun(cast("BinaryIO", local), file))
    file.close()
    return cast("BinaryIO", local)


def _write_all(file: FileIO, data: bytes) -> None:
    """Write until all is written: on a disk that is full a part is, without an error."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
