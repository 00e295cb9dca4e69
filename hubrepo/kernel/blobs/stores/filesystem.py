"""Stores over a PyFilesystem2 filesystem: local disk and memory.

Layout, below the root:

    <organisation>/<2 hex>/<62 hex>     a blob, named by its SHA-256
    .stage/<32 hex>                     a stage

`fs` itself never fsyncs, and turns a failed rename into a copy; so on disk the rename is ours.
"""

import logging
import os
import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from hubrepo.kernel.base import random_hex, sync_folder
from hubrepo.kernel.blobs.stores.failures import failures
from hubrepo.kernel.blobs.stores.interface import (
    BlobMissing,
    Stage,
    Store,
    Stored,
    StoreFull,
    StoreUnavailable,
)
from hubrepo.kernel.blobs.stores.pyfilesystem import FS, OSFS, MemoryFS, errors

log = logging.getLogger(__name__)

STAGES = ".stage"


class FilesystemStage(Stage):
    """A file below `.stage`."""

    def __init__(self, filesystem: FS, path: str) -> None:
        super().__init__()
        self.path = path
        self._fs = filesystem
        with failures():
            self._file = filesystem.openbin(path, "x")

    def _append(self, data: bytes) -> None:
        with failures():
            self._file.write(data)

    def reader(self) -> BinaryIO:
        """The file, opened again for reading."""
        with failures():
            self._file.flush()
            opened: BinaryIO = self._fs.openbin(self.path, "r")
            return opened

    def sync(self) -> None:
        """Flush; on disk, down to the platter."""
        with failures():
            self._file.flush()
            if self._fs.hassyspath(self.path):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync, and give the file back: it is about to be promoted."""
        self.sync()
        with failures():
            self._file.close()

    def discard(self) -> None:
        """Remove the file, unless it was promoted. What cannot be removed now is swept later."""
        # On a full disk what is still buffered cannot be written; nobody wants it any more.
        with suppress(OSError, errors.FSError):
            self._file.close()
        try:
            with failures(self.path):
                self._fs.remove(self.path)
        except BlobMissing:
            return
        except (StoreUnavailable, StoreFull):
            log.warning("could not remove the stage %s", self.path, exc_info=True)


class FilesystemStore(Store):
    """What disk and memory have in common."""

    def __init__(self, filesystem: FS) -> None:
        self._fs = filesystem
        with failures():
            filesystem.makedirs(STAGES, recreate=True)

    def stage(self) -> FilesystemStage:
        """A file below `.stage`, on the same filesystem as the blobs."""
        return FilesystemStage(self._fs, f"{STAGES}/{random_hex(128)}")

    def promote(self, stage: Stage, key: str) -> None:
        """Rename the stage to `key`."""
        assert isinstance(stage, FilesystemStage)  # noqa: S101 - made by this store
        stage.close()
        with failures():
            self._rename(stage.path, key)

    @abstractmethod
    def _rename(self, source: str, key: str) -> None:
        """Make the stage at `source` the blob at `key`, at once and durably."""

    def open(self, key: str, start: int = 0, length: int | None = None) -> BinaryIO:  # noqa: ARG002
        """The file, standing at `start`."""
        with self._looking_for(key):
            return self._open(key, start)

    def _open(self, key: str, start: int) -> BinaryIO:
        opened: BinaryIO = self._fs.openbin(key, "r")
        opened.seek(start)
        return opened

    def stat(self, key: str) -> Stored:
        """From the file's own details."""
        with self._looking_for(key):
            return self._stored(key, self._fs.getinfo(key, namespaces=["details"]))

    @contextmanager
    def _looking_for(self, key: str) -> Iterator[None]:
        """A blob that is missing is told from a store that is: a disk that was unmounted."""
        try:
            with failures(key):
                yield
        except BlobMissing:
            self.ping()
            raise

    @staticmethod
    def _stored(key: str, info: Any) -> Stored:
        return Stored(key.strip("/"), info.size, info.modified.astimezone(UTC))

    def delete(self, key: str) -> None:
        """Remove the file; the folders stay."""
        try:
            with self._looking_for(key):
                self._fs.remove(key)
        except BlobMissing:
            return

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Folder by folder; what goes meanwhile is left out."""
        folder = prefix.strip("/")
        for name in self._names(folder):
            key = f"{folder}/{name}".lstrip("/")
            if key in {f"{STAGES}/", "lost+found/"}:
                continue
            if name.endswith("/"):
                yield from self.list(key)
            else:
                with suppress(BlobMissing), failures(key):
                    info = self._fs.getinfo(key, namespaces=["details"])
                    yield self._stored(key, info)

    def _names(self, folder: str) -> Iterator[str]:
        """What is in a folder, in the order of keys; names of folders end in a slash."""
        try:
            with failures(folder or "/"):
                found = [f"{e.name}/" if e.is_dir else e.name for e in self._fs.scandir(folder)]
        except BlobMissing:
            self.ping()
            return iter(())
        return iter(sorted(found))

    def sweep_stages(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove old files below `.stage`. Another process may do the same at the same time."""
        swept = 0
        for name in self._names(STAGES):
            key = f"{STAGES}/{name}"
            with suppress(BlobMissing), failures(key):
                info = self._fs.getinfo(key, namespaces=["details"])
                if info.modified.astimezone(UTC) < before:
                    if not dry_run:
                        self._fs.remove(key)
                    swept += 1
        return swept

    def probe(self) -> None:
        """Stage, promote, read and delete a few bytes."""
        stage = self.stage()
        try:
            stage.write(b"probe")
            key = f"{STAGES}/probe-{random_hex(64)}"
            self.promote(stage, key)
            with failures(), self.open(key) as opened:
                if opened.read() != b"probe":
                    raise StoreUnavailable
            self.delete(key)
        except BlobMissing as error:
            raise StoreUnavailable from error
        finally:
            stage.discard()

    def ping(self) -> None:
        """Look for the folder of stages."""
        with failures():
            if not self._fs.isdir(STAGES):
                raise StoreUnavailable


class DiskStore(FilesystemStore):
    """`osfs:///srv/blobs`: files on a local disk. A rename makes a blob appear whole or not at all."""

    def __init__(self, root: str) -> None:
        with failures():
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
            sync_folder(folder)

    def _open(self, key: str, start: int) -> BinaryIO:
        # Not through `fs`, which takes three times as long to open it.
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
        with failures():
            if folder.is_dir():
                sync_folder(folder)


class MemoryStore(FilesystemStore):
    """`mem://`: gone with the process. For tests and for trying things out."""

    is_shared: ClassVar[bool] = False

    def __init__(self) -> None:
        # A reader that opens a file while it is being moved would see it empty.
        self._lock = threading.Lock()
        super().__init__(MemoryFS())

    def _rename(self, source: str, key: str) -> None:
        with self._lock:
            self._fs.makedirs(key.rpartition("/")[0], recreate=True)
            self._fs.move(source, key, overwrite=True)

    def _open(self, key: str, start: int) -> BinaryIO:
        with self._lock:
            return super()._open(key, start)
