"""Files over objects of S3: one that reads ranges, and two that write.

What is written becomes an object when it is closed, and not before. If it is never closed, or the
`with` block around it fails, there is nothing, or what was there before.
"""

import io
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from time import monotonic
from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from hubrepo.kernel.blobs.stores.bucket import SLOWEST, Bucket, Content, Upload
from hubrepo.kernel.blobs.stores.pyfilesystem import errors

CHUNK = 256 * 1024
BUFFER = 128 * 1024

# Seconds that a read has at least, besides those that its bytes may take.
LEAST = 0.25


class ObjectFile(io.RawIOBase):
    """An object, from where a GET began.

    Seeking and telling send nothing. Reading goes on in the body of the answer, or in the last piece
    that was read, which is kept: servers read, and go back to where the socket stopped. Reading
    elsewhere asks for another range. A body that ends early is an error, never the end of the file.
    `guard` makes what errors the caller knows of those of `fs`.
    """

    mode = "rb"
    # Whoever reads it may have to wait for the network.
    is_remote = True

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        content: Content,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._bucket, self._key, self._guard = bucket, key, guard
        self._size, self._etag = content.size, content.etag
        self._body, self._left, self._asked = content.body, content.length, content.asked
        # The body goes on at `front`; the bytes that are kept end there.
        self._at = self._front = content.start
        self._kept = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins, counted from the beginning of the object."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move there; nothing is asked for until it is read."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}
        if whence not in bases:
            raise ValueError(f"there is no whence {whence}")
        self._at = max(0, bases[whence] + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes, fewer only at the end of the object; or all that are left."""
        self._check_open()
        wanted = max(0, self._size - self._at)
        if size is not None and size >= 0:
            wanted = min(wanted, size)
        if not wanted:
            return b""
        with self._guard():
            data = self._from_kept(wanted)
            if len(data) < wanted:
                data += self._from_body(self._at + len(data), wanted - len(data))
                self._kept = data[-CHUNK:]
                self._front = self._at + len(data)
        self._at += len(data)
        return data

    def readall(self) -> bytes:
        """All that is left."""
        return self.read(-1)

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as there are bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _from_kept(self, wanted: int) -> bytes:
        start = self._at - (self._front - len(self._kept))
        return self._kept[start : start + wanted] if 0 <= start < len(self._kept) else b""

    def _from_body(self, start: int, wanted: int) -> bytes:
        if start != self._front or not self._left:
            self._ask_from(start)
        deadline, pieces = self._deadline(wanted), []
        while wanted:
            # A body that comes drop by drop would never be late, drop by drop.
            if (seconds := deadline - monotonic()) <= 0:
                self._hang_up()
                raise errors.OperationTimeout(self._key, msg="S3 answers too slowly")
            piece = self._piece(wanted, seconds)
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def _deadline(self, wanted: int) -> float:
        """When so many bytes must be here.

        Who still waits for the first of them must be told in time, counted from the GET. Later, what counts
        is that they keep coming.
        """
        now, pace = monotonic(), wanted / SLOWEST
        usual, due = now + self._bucket.patience, self._asked + self._bucket.address.timeout
        return pace + (usual if now > due else min(usual, due + LEAST))

    def _ask_from(self, start: int) -> None:
        self._hang_up()
        content = self._bucket.get(self._key, start, None, self._etag or None)
        self._body, self._left, self._etag = content.body, content.length, content.etag
        self._asked = content.asked
        self._kept, self._front = b"", start

    def _piece(self, wanted: int, seconds: float) -> bytes:
        most = min(wanted, self._left)
        try:
            piece = self._read_some(most, seconds) if most else b""
        except (BotoCoreError, HTTPError, OSError) as error:
            self._hang_up()
            raise self._bucket.failed(self._key, error) from error
        if not piece:
            self._hang_up()
            raise errors.RemoteConnectionError(self._key, msg="the answer of S3 ends early")
        self._left -= len(piece)
        return piece

    def _read_some(self, most: int, seconds: float) -> bytes:
        """What comes within `seconds`, and at least a byte, unless the body is at its end."""
        # botocore's stream waits until it has all; what it reads from does not.
        stream, patience = self._body._raw_stream, self._bucket.patience
        if seconds >= patience:
            return cast("bytes", stream.read1(most))
        # The socket lies where botocore's `set_socket_timeout` finds it, which could not set it back
        # behind the last byte.
        wire = stream._fp.fp.raw._sock
        wire.settimeout(seconds)
        try:
            return cast("bytes", stream.read1(most))
        finally:
            # Behind the last byte it may be closed.
            with suppress(OSError):
                wire.settimeout(patience)

    def _hang_up(self) -> None:
        body, self._body, self._left = self._body, None, 0
        if body is not None:
            body.close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._hang_up()
        super().close()


class _Pending(io.BufferedIOBase):
    """A file whose bytes become an object when it is closed, and nothing when that never comes."""

    mode = "wb"

    def writable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Make the bytes an object. Raises errors of `fs`."""
        if self.closed:
            return
        try:
            self._finish()
        finally:
            self._drop()
            super().close()

    def abort(self) -> None:
        """Make nothing of the bytes."""
        if not self.closed:
            self._drop()
            super().close()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # Nobody closed it: then whoever wrote it has failed.
        if not self.closed:
            self.abort()

    @abstractmethod
    def _finish(self) -> None:
        """Make the bytes an object."""

    @abstractmethod
    def _drop(self) -> None:
        """Let go of what was kept of the bytes."""


class ObjectWriter(_Pending):
    """Bytes written from front to back: one request if they fit into a part, else a multipart upload."""

    def __init__(self, bucket: Bucket, key: str, *, only_new: bool = False) -> None:
        super().__init__()
        self._bucket, self._key, self._only_new = bucket, key, only_new
        self._buffer, self._at = bytearray(), 0
        self._upload: Upload | None = None

    def tell(self) -> int:
        """How many bytes were written."""
        return self._at

    def write(self, data: Any, /) -> int:
        """Append all of `data`."""
        if self.closed:
            raise ValueError("the file is closed")
        view = memoryview(data).cast("B")
        self._at += len(view)
        try:
            while len(self._buffer) + len(view) > self._bucket.part:
                room = self._bucket.part - len(self._buffer)
                self._buffer += view[:room]
                view = view[room:]
                self._send_part()
        except BaseException:
            # Whoever closes it all the same shall not publish what came so far.
            self.abort()
            raise
        self._buffer += view
        return memoryview(data).nbytes

    def _send_part(self) -> None:
        if self._upload is None:
            self._upload = Upload(self._bucket, self._key)
        part, self._buffer = self._buffer, bytearray()
        self._upload.send(part)

    def _finish(self) -> None:
        if self._upload is None:
            data = bytes(self._buffer)
            self._bucket.put(self._key, data, len(data), only_new=self._only_new)
        else:
            if self._buffer:
                self._send_part()
            self._upload.finish(only_new=self._only_new)

    def _drop(self) -> None:
        self._buffer = bytearray()
        if self._upload is not None:
            self._upload.abort()


class EditedObject(_Pending):
    """A copy of an object in a local file, to be read and written anywhere, and put back whole."""

    def __init__(
        self, bucket: Bucket, key: str, file: IO[bytes], mode: str, *, readable: bool
    ) -> None:
        super().__init__()
        self._bucket, self._key, self._file, self._readable = bucket, key, file, readable
        self.mode = mode

    def fill(self, content: ObjectFile) -> None:
        """Begin with what is there already."""
        with content:
            while piece := content.read(CHUNK):
                self._file.write(piece)

    def readable(self) -> bool:
        """Whether it was opened for that."""
        return self._readable

    def seekable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """As of a local file."""
        if not self._readable:
            raise io.UnsupportedOperation("the file is not open for reading")
        return self._file.read(-1 if size is None else size)

    read1 = read

    def write(self, data: Any, /) -> int:
        """As of a local file; at its end, in the mode `a`."""
        if "a" in self.mode:
            self._file.seek(0, io.SEEK_END)
        return self._file.write(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As of a local file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a local file."""
        return self._file.tell()

    def truncate(self, size: int | None = None, /) -> int:
        """As of `fs`: what is added are zeros, and the position stays."""
        return self._file.truncate(size)

    def _finish(self) -> None:
        size = self._file.seek(0, io.SEEK_END)
        self._bucket.put(self._key, self._file, size)

    def _drop(self) -> None:
        self._file.close()


class PendingText(io.TextIOWrapper):
    """Text over a file that is being written, which does not close it when the writer fails."""

    def tell(self) -> int:
        """Where the next text goes, also where there is no way back."""
        if not isinstance(self.buffer, ObjectWriter):
            return super().tell()
        self.flush()
        return self.buffer.tell()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._abort()

    def __del__(self) -> None:
        self._abort()

    def _abort(self) -> None:
        if isinstance(self.buffer, _Pending):
            self.buffer.abort()
