"""Bytes of a store beyond the network, brought here before they are sent.

Waitress reads what it sends in the one thread that looks after all connections: a store that falls
silent would stop it. And what breaks off on the way here is a 503 still, not half an answer.
"""

import tempfile
from time import monotonic
from typing import BinaryIO, cast

from hubrepo.kernel.blobs.stores.failures import failures
from hubrepo.kernel.blobs.stores.interface import StoreUnavailable

CHUNK = 256 * 1024

# More is sent as it comes: whoever waits for the first byte would wait for long.
MOST = 64 * 1024**2

# Seconds to begin with, and bytes a second that must come then: a store that is slower is not available.
PATIENCE = 4.0
SLOWEST = 4 * 1024**2


def fetched(file: BinaryIO, length: int) -> BinaryIO:
    """The next `length` bytes of `file`, which is closed, as a local file without a name.

    Raises EOFError if there are fewer, StoreUnavailable, and StoreFull if there is no room for them.
    """
    deadline = monotonic() + PATIENCE + length / SLOWEST
    with file, failures():
        local = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - whoever sends it closes it
        try:
            while length:
                if monotonic() > deadline:
                    raise StoreUnavailable
                piece = file.read(min(CHUNK, length))
                if not piece:
                    raise EOFError("the file ends early")
                local.write(piece)
                length -= len(piece)
            local.seek(0)
        except BaseException:
            local.close()
            raise
    return cast("BinaryIO", local)
