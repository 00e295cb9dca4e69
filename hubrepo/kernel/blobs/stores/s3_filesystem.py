"""A PyFilesystem2 filesystem over a bucket of S3, and the opener of `s3://` URLs.

A folder is an empty object whose key ends in a slash, or is implied by an object that lies below: the
convention of consoles and tools of S3. PyFilesystem asks that a file be written only into a folder
that is there, that a folder be told from a file, and so on; S3 answers such questions at the price of a
request each. With `strict=False` they are not asked: then a file read or written is one request.
"""

import io
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import Any, BinaryIO, ClassVar

from hubrepo.kernel.blobs.stores.bucket import Bucket, Content, Entry
from hubrepo.kernel.blobs.stores.pyfilesystem import (
    FS,
    Info,
    Mode,
    Opener,
    ResourceType,
    SubFS,
    basename,
    dirname,
    errors,
    registry,
)
from hubrepo.kernel.blobs.stores.s3_address import S3Address, WrongAddress
from hubrepo.kernel.blobs.stores.s3_files import (
    BUFFER,
    CHUNK,
    EditedObject,
    ObjectFile,
    ObjectWriter,
    PendingText,
)

LINK_SECONDS = 3600


class S3FS(FS):  # type: ignore[misc]  # fs has no types
    """The objects of `address` as files. May be used by several threads."""

    _meta: ClassVar[dict[str, object]] = {
        "case_insensitive": False,
        "invalid_path_chars": "\0",
        "network": True,
        "read_only": False,
        "supports_mtime": False,
        "supports_rename": False,
        "thread_safe": True,
        "unicode_paths": True,
        "virtual": False,
    }

    def __init__(self, address: S3Address, *, strict: bool = True) -> None:
        super().__init__()
        self._strict = strict
        self.bucket = Bucket(address)

    def __repr__(self) -> str:
        return f"S3FS({str(self.bucket.address)!r})"

    def __str__(self) -> str:
        return f"<s3fs '{self.bucket.address}'>"

    def close(self) -> None:
        """Give the connections back."""
        if not self.isclosed() and "bucket" in self.__dict__:
            self.bucket.close()
        super().close()

    def getinfo(self, path: str, namespaces: Collection[str] | None = None) -> Info:  # noqa: ARG002
        """By a HEAD; where there is no file, a listing tells whether there is a folder."""
        self.check()
        key = self._key(path)
        if not key:
            return _folder_info("")
        try:
            entry = self.bucket.head(key)
        except errors.ResourceNotFound:
            if not self._is_folder(key):
                raise errors.ResourceNotFound(path) from None
            return _folder_info(basename(key))
        return _file_info(basename(key), entry)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder."""
        return [info.name for info in self.scandir(path)]

    def scandir(
        self,
        path: str,
        namespaces: Collection[str] | None = None,  # noqa: ARG002
        page: tuple[int | None, int | None] | None = None,
    ) -> Iterator[Info]:
        """What is in a folder, with details at no further cost: a request for each thousand."""
        self.check()
        found = self._scan(path)
        if page is None:
            return found
        start, end = page
        return iter(list(found)[start:end])

    def _scan(self, path: str) -> Iterator[Info]:
        key = self._key(path)
        before, is_there = f"{key}/" if key else "", not key
        for each in self.bucket.entries(before, folder=True):
            is_there = True
            if isinstance(each, str):
                yield _folder_info(each.removeprefix(before).rstrip("/"))
            elif each.key != before:
                yield _file_info(each.key.removeprefix(before), each)
        if not is_there:
            self.getinfo(path)
            raise errors.DirectoryExpected(path)

    def makedir(self, path: str, permissions: object = None, recreate: bool = False) -> SubFS:  # noqa: ARG002
        """Put the empty object that stands for a folder."""
        self.check()
        key = self._key(path)
        if key and not self.exists(path):
            self._check_parent(path)
            self.bucket.put(f"{key}/", b"", 0)
        elif not recreate:
            raise errors.DirectoryExists(path)
        return self.opendir(path)

    def openbin(self, path: str, mode: str = "r", buffering: int = -1, **_: object) -> Any:  # noqa: ARG002
        """A file of bytes. What is written becomes an object when the file is closed."""
        wish = Mode(mode)
        wish.validate_bin()
        self.check()
        key = self._key(path)
        if not key:
            raise errors.FileExpected(path)
        if wish.create:
            self._check_writable(path, key, only_new=wish.exclusive)
        if not wish.writing:
            return io.BufferedReader(self.open_range(path), BUFFER)
        if not (wish.reading or wish.appending):
            return ObjectWriter(self.bucket, key, only_new=wish.exclusive)
        return self._edit(path, key, wish)

    def _edit(self, path: str, key: str, wish: Mode) -> EditedObject:
        edited = EditedObject(
            self.bucket,
            key,
            tempfile.TemporaryFile(),  # noqa: SIM115 - closed with the file that it is for
            wish.to_platform_bin(),
            readable=wish.reading,
        )
        try:
            if not wish.truncate:
                edited.fill(self.open_range(path))
        except errors.ResourceNotFound:
            if not wish.create:
                edited.abort()
                raise
        edited.seek(0, io.SEEK_END if wish.appending else io.SEEK_SET)
        return edited

    def open(
        self,
        path: str,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str = "",
        **options: object,
    ) -> Any:
        """A file of text or bytes, by `mode`."""
        wish = Mode(mode)
        wish.validate()
        file = self.openbin(path, mode.replace("t", ""), buffering, **options)
        if "b" in mode:
            return file
        kind = PendingText if wish.writing else io.TextIOWrapper
        return kind(file, encoding=encoding or "utf-8", errors=errors, newline=newline)

    def open_range(
        self, path: str, start: int = 0, length: int | None = None, **options: Any
    ) -> ObjectFile:
        """A file without a buffer that stands at `start`, by one GET of `length` bytes or all.

        Raises ResourceNotFound.
        """
        key = self._key(path)
        try:
            content: Content = self.bucket.get(key, start, length)
        except errors.ResourceNotFound:
            if self._strict and self._is_folder(key):
                raise errors.FileExpected(path) from None
            raise errors.ResourceNotFound(path) from None
        return ObjectFile(self.bucket, key, content, **options)

    def remove(self, path: str) -> None:
        """Remove a file. Only a strict filesystem knows whether there was one."""
        self.check()
        if self._strict and self.getinfo(path).is_dir:
            raise errors.FileExpected(path)
        self.bucket.delete(self._key(path))

    def removedir(self, path: str) -> None:
        """Remove an empty folder."""
        self.check()
        key = self._key(path)
        if not key:
            raise errors.RemoveRootError(path)
        if not self.isempty(path):
            raise errors.DirectoryNotEmpty(path)
        self.bucket.delete(f"{key}/")

    def setinfo(self, path: str, info: Mapping[str, object]) -> None:  # noqa: ARG002
        """Nothing that S3 tells of an object can be set."""
        self.getinfo(path)

    def copy(
        self, src_path: str, dst_path: str, overwrite: bool = False, preserve_time: bool = False
    ) -> None:  # fmt: skip
        """Copy a file, within S3 as far as one request may."""
        self.check()
        info = self._check_transfer(src_path, dst_path, overwrite=overwrite)
        if info.size > self.bucket.put_limit:
            super().copy(src_path, dst_path, overwrite=True, preserve_time=preserve_time)
        elif self._key(src_path) != self._key(dst_path):
            self.bucket.copy(self._key(src_path), self._key(dst_path))

    def move(
        self, src_path: str, dst_path: str, overwrite: bool = False, preserve_time: bool = False
    ) -> None:  # fmt: skip
        """Copy a file, then remove it: S3 knows no other way."""
        self.copy(src_path, dst_path, overwrite, preserve_time)
        if self._key(src_path) != self._key(dst_path):
            self.bucket.delete(self._key(src_path))

    def upload(
        self, path: str, file: BinaryIO, chunk_size: int | None = None, **options: Any
    ) -> None:
        """Write what is left of `file`: one request if its size can be told, else as it comes."""
        size = _size_from_the_start(file)
        if size is None:
            with self.openbin(path, "wb", **options) as target:
                while piece := file.read(chunk_size or CHUNK):
                    target.write(piece)
            return
        self.check()
        key = self._key(path)
        self._check_writable(path, key, only_new=False)
        self.bucket.put(key, file, size)

    def download(
        self, path: str, file: BinaryIO, chunk_size: int | None = None, **options: Any
    ) -> None:
        """Read a file into `file`."""
        self.check()
        with closing(self.open_range(path, **options)) as source:
            while piece := source.read(chunk_size or CHUNK):
                file.write(piece)

    def readbytes(self, path: str) -> bytes:
        """All of a file."""
        self.check()
        with closing(self.open_range(path)) as source:
            return source.read()

    def writebytes(self, path: str, contents: bytes) -> None:
        """Write a file at once."""
        if not isinstance(contents, bytes):
            raise TypeError("contents must be bytes")
        self.upload(path, io.BytesIO(contents))

    def geturl(self, path: str, purpose: str = "download") -> str:
        """`download`: an address that is good for an hour. `fs`: the URL, without its parameters."""
        self.check()
        if purpose == "download":
            return self.bucket.link(self._key(path), LINK_SECONDS, {})
        if purpose == "fs":
            return "/".join(filter(None, (str(self.bucket.address), self._key(path))))
        raise errors.NoURL(path, purpose)

    def _key(self, path: str) -> str:
        return str(self.validatepath(path)).strip("/")

    def _is_folder(self, key: str) -> bool:
        return next(self.bucket.entries(f"{key}/", most=1), None) is not None

    def _check_parent(self, path: str) -> None:
        parent = dirname(self._key(path))
        if parent and not self._is_folder(parent):
            raise errors.ResourceNotFound(path)

    def _check_writable(self, path: str, key: str, *, only_new: bool) -> None:
        if not self._strict:
            return
        if only_new and self.exists(path):
            raise errors.FileExists(path)
        if self._is_folder(key):
            raise errors.FileExpected(path)
        self._check_parent(path)

    def _check_transfer(self, source: str, target: str, *, overwrite: bool) -> Info:
        if not overwrite and self.exists(target):
            raise errors.DestinationExists(target)
        info = self.getinfo(source, namespaces=["details"])
        if info.is_dir:
            raise errors.FileExpected(source)
        self._check_parent(target)
        return info


class S3Opener(Opener):  # type: ignore[misc]  # fs has no types
    """Opens `s3://bucket/prefix?…`, as `S3Address` reads it."""

    protocols: ClassVar[list[str]] = ["s3"]

    def open_fs(
        self, fs_url: str, parse_result: object, writeable: bool, create: bool, cwd: str  # noqa: ARG002
    ) -> S3FS:  # fmt: skip
        """The filesystem. Raises CreateFailed."""
        try:
            return S3FS(S3Address.parse(fs_url))
        except WrongAddress as error:
            raise errors.CreateFailed(str(error), exc=error) from error


def _folder_info(name: str) -> Info:
    details = {"type": int(ResourceType.directory), "size": 0}
    return Info({"basic": {"name": name, "is_dir": True}, "details": details})


def _file_info(name: str, entry: Entry) -> Info:
    return Info({
        "basic": {"name": name, "is_dir": False},
        "details": {
            "type": int(ResourceType.file),
            "size": entry.size,
            "modified": entry.modified.timestamp(),
        },
    })  # fmt: skip


def _size_from_the_start(file: BinaryIO) -> int | None:
    """The size of a file that stands at its beginning; None where it does not, or cannot tell."""
    try:
        if file.tell():
            return None
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
    except (AttributeError, OSError):
        return None
    return size


# Also where the entry point is not installed. Not as a decorator: that would put an opener in its place.
registry.install(S3Opener)
