"""Stores over a PyFilesystem2 filesystem: local disk and memory.

Layout, below the root:

    <organisation>/<2 hex>/<62 hex>     a blob, named by its SHA-256
    .stage/<32 hex>                     a stage

`fs` itself never fsyncs, and turns a failed rename into a copy; so on disk the rename is ours.
"""

import errno
import logging
import os
import threading
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from hubrepo.kernel.base import random_hex
from hubrepo.kernel.blobs.stores.interface import (
    BlobMissing,
    Stage,
    Store,
    Stored,
    StoreFull,
    StoreUnavailable,
)

with warnings.catch_warnings():
    # fs declares its namespace through pkg_resources, which says at length that it is deprecated.
    warnings.simplefilter("ignore")
    from fs import errors
    from fs.base import FS
    from fs.memoryfs import MemoryFS
    from fs.osfs import OSFS

log = logging.getLogger(__name__)

STAGES = ".stage"


@contextmanager
def _failures(key: str = "") -> Iterator[None]:
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
        number = getattr(error, "errno", None) or getattr(error.__cause__, "errno", None)
        full = isinstance(error, errors.InsufficientStorage) or number in {
            errno.ENOSPC,
            errno.EDQUOT,
        }
        raise (StoreFull if full else StoreUnavailable) from error


class FilesystemStage(Stage):
    """A file below `.stage`."""

    def __init__(self, filesystem: FS, path: str) -> None:
        super().__init__()
        self.path = path
        self._fs = filesystem
        with _failures():
            self._file = filesystem.openbin(path, "x")

    def _append(self, data: bytes) -> None:
        with _failures():
            self._file.write(data)

    def reader(self) -> BinaryIO:
        """The file, opened again for reading."""
        with _failures():
            self._file.flush()
            opened: BinaryIO = self._fs.openbin(self.path, "r")
            return opened

    def sync(self) -> None:
        """Flush; on disk, down to the platter."""
        with _failures():
            self._file.flush()
            if self._fs.hassyspath(self.path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync, and give the file back: it is about to be promoted."""
        self.sync()
        self._file.close()

    def discard(self) -> None:
        """Remove the file, unless it was promoted. What cannot be removed now is swept later."""
        self._file.close()
        try:
            with _failures(self.path):
                self._fs.remove(self.path)
        except BlobMissing:
            return
        except StoreUnavailable:
            log.warning("could not remove the stage %s", self.path, exc_info=True)


class FilesystemStore(Store):
    """What disk and memory have in common."""

    def __init__(self, filesystem: FS) -> None:
        self._fs = filesystem
        with _failures():
            filesystem.makedirs(STAGES, recreate=True)

    def stage(self) -> FilesystemStage:
        """A file below `.stage`, on the same filesystem as the blobs."""
        return FilesystemStage(self._fs, f"{STAGES}/{random_hex(128)}")

    def promote(self, stage: Stage, key: str) -> None:
        """Rename the stage to `key`."""
        assert isinstance(stage, FilesystemStage)  # noqa: S101 - made by this store
        stage.close()
        with _failures():
            self._rename(stage.path, key)

    @abstractmethod
    def _rename(self, source: str, key: str) -> None:
        """Make the stage at `source` the blob at `key`, at once and durably."""

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:  # noqa: ARG002
        """The file, standing at `start`."""
        with _failures(key):
            opened: BinaryIO = self._fs.openbin(key, "r")
            opened.seek(start)
            return opened

    def stat(self, key: str) -> Stored:
        """From the file's own details."""
        with _failures(key):
            return self._stored(key, self._fs.getinfo(key, namespaces=["details"]))

    @staticmethod
    def _stored(key: str, info: Any) -> Stored:
        return Stored(key.strip("/"), info.size, info.modified.astimezone(UTC))

    def delete(self, key: str) -> None:
        """Remove the file; the folders stay."""
        try:
            with _failures(key):
                self._fs.remove(key)
        except BlobMissing:
            return

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Walk the folders below `prefix`."""
        with _failures(prefix):
            if not self._fs.isdir(prefix):
                return
            for path, info in self._fs.walk.info(
                prefix, namespaces=["details"], exclude_dirs=[STAGES]
            ):
                if not info.is_dir:
                    yield self._stored(path, info)

    def sweep_stages(self, before: datetime) -> int:
        """Remove old files below `.stage`."""
        with _failures():
            old = [
                info.name
                for info in self._fs.scandir(STAGES, namespaces=["details"])
                if info.modified.astimezone(UTC) < before
            ]
            for name in old:
                self._fs.remove(f"{STAGES}/{name}")
            return len(old)

    def probe(self) -> None:
        """Stage, promote, read and delete a few bytes."""
        stage = self.stage()
        try:
            stage.write(b"probe")
            key = f"{STAGES}/probe-{random_hex(64)}"
            self.promote(stage, key)
            with self.open(key) as opened:
                if opened.read() != b"probe":
                    raise StoreUnavailable
            self.delete(key)
        finally:
            stage.discard()

    def ping(self) -> None:
        """Look for the folder of stages."""
        with _failures():
            if not self._fs.isdir(STAGES):
                raise StoreUnavailable


class DiskStore(FilesystemStore):
    """`osfs:///srv/blobs`: files on a local disk. A rename makes a blob appear whole or not at all."""

    def __init__(self, root: str) -> None:
        with _failures():
            for folder in (Path(root), Path(root, STAGES)):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root = root
            super().__init__(OSFS(root))

    def _rename(self, source: str, key: str) -> None:
        root = Path(self._fs.getsyspath("/"))
        target = root / key
        fresh = self._make_folders(root, target.parent)
        os.replace(root / source, target)  # noqa: PTH105 - the point is that it is this call
        for folder in (target.parent, *fresh):
            _sync_folder(folder)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:  # noqa: ARG002
        """The file, standing at `start`. Not through `fs`, which takes three times as long to open it."""
        with _failures(key):
            opened = open(f"{self._root}/{key}", "rb")  # noqa: PTH123, SIM115 - nor through a Path
            opened.seek(start)
            return opened

    @staticmethod
    def _make_folders(root: Path, folder: Path) -> list[Path]:
        """Make `folder`; the folders whose lists of names have changed by it."""
        missing = []
        while folder != root and not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
        return [each.parent for each in missing]

    def delete(self, key: str) -> None:
        """Remove the file, and see to it that it stays removed when the power fails."""
        super().delete(key)
        folder = Path(self._fs.getsyspath(key)).parent
        if folder.is_dir():
            _sync_folder(folder)


class MemoryStore(FilesystemStore):
    """`mem://`: gone with the process. For tests and for trying things out."""

    def __init__(self) -> None:
        # A reader that opens a file while it is being moved would see it empty.
        self._lock = threading.Lock()
        super().__init__(MemoryFS())

    def _rename(self, source: str, key: str) -> None:
        with self._lock:
            self._fs.makedirs(key.rpartition("/")[0], recreate=True)
            self._fs.move(source, key, overwrite=True)

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:
        """The file, standing at `start`."""
        with self._lock:
            return super().open(key, start, length)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
