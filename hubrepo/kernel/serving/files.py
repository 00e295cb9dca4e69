"""Files to send whose bytes are made on the way: cut out, inflated, framed."""

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

CHUNK = 256 * 1024


def is_remote(file: object) -> bool:
    """Whether reading `file` waits for the network, as the files of a store say of themselves.

    Such a file is for a thread that may wait. Waitress reads those that are handed to it in the one
    thread that serves all connections.
    """
    return getattr(file, "is_remote", False)


def pieces_of(file: BinaryIO, length: int) -> Iterator[bytes]:
    """The next `length` bytes of `file`. Raises EOFError if there are fewer."""
    while length:
        piece = file.read(min(CHUNK, length))
        if not piece:
            raise EOFError("the file ends early")
        length -= len(piece)
        yield piece


def cut(pieces: Iterator[bytes], start: int, length: int) -> Iterator[bytes]:
    """`length` bytes of what `pieces` hold together, from `start` on."""
    for piece in pieces:
        if start < len(piece):
            wanted = piece[start : start + length]
            length -= len(wanted)
            start = 0
            yield wanted
        else:
            start -= len(piece)
        if not length:
            return


class OneWayFile(io.RawIOBase):
    """`size` bytes that can be made only from front to back, as a file that a server can send.

    Waitress sends a file without holding a thread, however slow the reader is, if it can seek: it
    looks for the end, reads, goes back to where it was, and then on, as far as the socket took it.
    So the last bytes that were read are kept, `CHUNK` at most at a time, and before them there is no
    way back.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        size: int,
        close: Callable[[], object],
        *,
        is_remote: bool = False,
    ) -> None:
        super().__init__()
        self.is_remote = is_remote
        self._pieces, self._size, self._close = pieces, size, close
        self._kept, self._kept_from, self._at = b"", 0, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """As far as sending needs it."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move there; whether it can be read from is seen when it is."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, and none only at the end."""
        wanted = CHUNK if size < 0 else min(size, CHUNK)
        end = min(self._at + wanted, self._size)
        kept_until = self._kept_from + len(self._kept)
        if not self._kept_from <= self._at <= kept_until:
            raise io.UnsupportedOperation("there is no way there")
        parts = [self._kept[self._at - self._kept_from :]]
        while kept_until < end:
            piece = next(self._pieces, b"")
            if not piece:
                raise EOFError("the file ends early")
            parts.append(piece)
            kept_until += len(piece)
        self._kept, self._kept_from = b"".join(parts), self._at
        self._at = end
        return self._kept[: end - self._kept_from]

    def close(self) -> None:
        """Close what the pieces are made of."""
        if not self.closed:
            self._close()
        super().close()
