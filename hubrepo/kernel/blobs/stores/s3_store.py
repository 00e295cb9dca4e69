"""`s3://bucket/prefix?…`: blobs as objects of S3.

Layout, below the prefix:

    <organisation>/<2 hex>/<62 hex>     a blob, named by its SHA-256
    .stage/probe-<16 hex>               what a start tries out

A stage is a local file without a name, so nothing is left of it when the process dies. It is hashed on
the way in, and sent straight to its final key by one request that says how long it is and what its
digest is: S3 shows an object whole or not at all, and there is no copying and no moving.
"""

import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, cast

from hubrepo.kernel.base import random_hex
from hubrepo.kernel.blobs.stores.bucket import Entry
from hubrepo.kernel.blobs.stores.failures import failures
from hubrepo.kernel.blobs.stores.interface import (
    BlobMissing,
    Stage,
    Store,
    Stored,
    StoreUnavailable,
)
from hubrepo.kernel.blobs.stores.s3_address import S3Address
from hubrepo.kernel.blobs.stores.s3_filesystem import S3FS

STAGES = ".stage/"
BUFFER = 64 * 1024

# How keys of ours begin: others may keep something in the bucket too.
_OURS = re.compile(rf"[0-9a-f]{{32}}/|{re.escape(STAGES)}")

_LINKED = {
    "Content-Type": "ResponseContentType",
    "Content-Disposition": "ResponseContentDisposition",
    "Cache-Control": "ResponseCacheControl",
}


class _Staged(io.RawIOBase):
    """Reads a descriptor of its own, from a place of its own, while others write the same file."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor, self._at = os.dup(descriptor), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}
        base = bases[whence] if whence in bases else os.fstat(self._descriptor).st_size
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class SpooledStage(Stage):
    """A file without a name, in the folder for temporary files."""

    def __init__(self) -> None:
        super().__init__()
        with failures():
            self._file = tempfile.TemporaryFile(buffering=BUFFER)  # noqa: SIM115 - see `discard`

    def _append(self, data: bytes) -> None:
        with failures():
            self._file.write(data)

    def reader(self) -> BinaryIO:
        """The same file, by another descriptor."""
        with failures():
            self._file.flush()
            return cast("BinaryIO", io.BufferedReader(_Staged(self._file.fileno()), BUFFER))

    def sync(self) -> None:
        """Flush. Nothing of it has to outlive the process, so the disk is not waited for."""
        with failures():
            self._file.flush()

    def discard(self) -> None:
        """Close the file, and so remove it. What it still buffers is of no use to anybody."""
        try:
            self._file.close()
        except OSError:
            return


class S3Store(Store):
    """Blobs below a prefix of a bucket: one request for each that is written, read or looked at."""

    is_remote = True

    def __init__(self, address: S3Address) -> None:
        with failures():
            # Nobody asks here whether a folder is there: that would be a request more.
            self.filesystem = S3FS(address, strict=False)
        self._bucket = self.filesystem.bucket

    def stage(self) -> SpooledStage:
        """A local file; it is sent when it is promoted."""
        return SpooledStage()

    def promote(self, stage: Stage, key: str) -> None:
        """Send the stage to `key`, over what may lie there: should that be damaged, it is mended."""
        assert isinstance(stage, SpooledStage)  # noqa: S101 - made by this store
        with failures(), stage.reader() as file:
            self._bucket.put(key, file, stage.size, stage.digest)
        stage.discard()

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """The object from `start` on, by one GET."""
        with failures(key):
            file = self.filesystem.open_range(key, start, length, guard=failures)
        return cast("BinaryIO", file)

    def stat(self, key: str) -> Stored:
        """By a HEAD; where there is nothing, a second request tells whether there is a bucket."""
        try:
            with failures(key):
                return _stored(self._bucket.head(key))
        except BlobMissing:
            self.ping()
            raise

    def delete(self, key: str) -> None:
        """Remove the object."""
        with failures():
            self._bucket.delete(key)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """As S3 lists it: a request for each thousand."""
        with failures():
            for each in self._bucket.entries(f"{prefix.strip('/')}/" if prefix else ""):
                if isinstance(each, Entry) and not each.key.startswith(STAGES):
                    yield _stored(each)

    def sweep_stages(self, before: datetime, *, dry_run: bool = False) -> int:
        """Abort old multipart uploads, and remove old probes."""
        with failures():
            uploads = [
                each
                for each in self._bucket.uploads()
                if each.started < before and _OURS.match(each.key)
            ]
            probes = [
                each
                for each in self._bucket.entries(STAGES)
                if isinstance(each, Entry) and each.modified < before
            ]
            if not dry_run:
                for upload in uploads:
                    self._bucket.abort_upload(upload.key, upload.upload)
                for probe in probes:
                    self._bucket.delete(probe.key)
        return len(uploads) + len(probes)

    def link(self, key: str, seconds: int, headers: Mapping[str, str]) -> str:
        """A presigned URL. No request is sent."""
        with failures():
            return self._bucket.link(
                key, seconds, {_LINKED[name]: headers[name] for name in headers}
            )

    def probe(self) -> None:
        """Put, get and delete a small object."""
        stage, key = self.stage(), f"{STAGES}probe-{random_hex(64)}"
        try:
            stage.write(b"probe")
            self.promote(stage, key)
            with self.open(key) as file:
                if file.read() != b"probe":
                    raise StoreUnavailable
        except BlobMissing as error:
            raise StoreUnavailable from error
        finally:
            stage.discard()
        self.delete(key)

    def ping(self) -> None:
        """List one object at most."""
        with failures():
            next(self._bucket.entries(STAGES, most=1), None)


def _stored(entry: Entry) -> Stored:
    return Stored(entry.key, entry.size, entry.modified)
