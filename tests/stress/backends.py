"""Where hubs keep rows and bytes, and how a hunt looks at the bytes behind the hub's back."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tests.support.hub import Hub
from tests.support.postgres import PostgreSQL, connected
from tests.support.process import HubProcess
from tests.support.s3 import S3Server


class Place(ABC):
    """The rows and bytes of one hub, which lies below `folder`: lines of its ini file."""

    database: str
    blobs: str
    environ: Mapping[str, str]
    is_local: ClassVar[bool] = False

    def process(self, folder: Path, **options: Any) -> HubProcess:
        """A hub in a process of its own that keeps its rows and bytes here."""
        own = {"database": self.database, "blobs": self.blobs} | options.pop("settings", {})
        return HubProcess(folder, own, environ=self.environ, **options)

    def hub(self, **settings: str) -> Hub:
        """A hub in this process that keeps its rows and bytes here."""
        own = {"database": self.database, "blobs": self.blobs, "migrate_on_start": "true"}
        own["security__failures_per_minute"] = "0"
        own["security__key_failures_per_minute"] = "0"
        lines = {key.replace("__", "."): text for key, text in (own | settings).items()}
        return Hub({f"hubrepo.{key}": text for key, text in lines.items()})

    @abstractmethod
    def keep(self) -> None:
        """Remember rows and bytes as they are. Nobody has them open."""

    @abstractmethod
    def bring_back(self) -> None:
        """Make rows and bytes again what they were when they were kept. Nobody has them open."""

    @abstractmethod
    def keys(self) -> list[str]:
        """The keys of all bytes in the store, in their order; stages are none."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Bytes in the store."""

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Put bytes into the store, over those that are there."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove bytes from the store."""


class Backend(ABC):
    """What makes places."""

    @abstractmethod
    def place(self, folder: Path) -> Place:
        """A place that nobody has used; what of it is local lies below `folder`."""


@dataclass
class FolderAndFile(Place):
    """A folder of bytes, and a file of rows."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    is_local: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.root = self.folder / "var" / "blobs"
        self.blobs = f"osfs://{self.root}"
        self.database = f"sqlite:///{self.folder}/var/hub.sqlite"

    def keep(self) -> None:
        shutil.copytree(self.folder / "var", self.folder / "kept")

    def bring_back(self) -> None:
        shutil.rmtree(self.folder / "var")
        shutil.copytree(self.folder / "kept", self.folder / "var")

    def keys(self) -> list[str]:
        files = (each for each in self.root.rglob("*") if each.is_file())
        found = (each.relative_to(self.root).as_posix() for each in files)
        return sorted(key for key in found if not key.startswith(".stage/"))

    def read(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


class DiskAndSQLite(Backend):
    """What one machine has."""

    def place(self, folder: Path) -> Place:
        return FolderAndFile(folder)


PREFIX = "hub/"


@dataclass
class BucketAndDatabase(Place):
    """A bucket of a server of S3, and a database of a server of PostgreSQL."""

    s3: S3Server
    server: PostgreSQL

    def __post_init__(self) -> None:
        self.bucket, self.database = self.s3.new_bucket(), self.server.fresh()
        self.blobs = self.s3.url(f"{self.bucket}/{PREFIX.rstrip('/')}")
        self.environ = {**self.s3.environ, "AWS_CONFIG_FILE": os.devnull}
        self._kept: dict[str, bytes] = {}

    def keep(self) -> None:
        self._kept = {key: self.read(key) for key in self.keys()}
        self._copy(self.database, f"{self.database}_kept")

    def bring_back(self) -> None:
        found = set(self.keys())
        for key in found - set(self._kept):
            self.remove(key)
        # What is there may be cut or changed as well, but nothing that a hub does makes it so.
        for key in set(self._kept) - found:
            self.write(key, self._kept[key])
        self.server.drop(self.database)
        self._copy(f"{self.database}_kept", self.database)

    def _copy(self, source: str, target: str) -> None:
        one, other = (url.rpartition("/")[2] for url in (source, target))
        with connected(self.server.url("postgres")) as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{other}" TEMPLATE "{one}"')

    def keys(self) -> list[str]:
        return sorted(key for key in self._listed() if not key.startswith(".stage/"))

    def _listed(self) -> Iterator[str]:
        pages = self.s3.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=PREFIX):
            yield from (each["Key"].removeprefix(PREFIX) for each in page.get("Contents", ()))

    def read(self, key: str) -> bytes:
        found = self.s3.client.get_object(Bucket=self.bucket, Key=PREFIX + key)
        data: bytes = found["Body"].read()
        return data

    def write(self, key: str, data: bytes) -> None:
        self.s3.client.put_object(Bucket=self.bucket, Key=PREFIX + key, Body=data)

    def remove(self, key: str) -> None:
        self.s3.client.delete_object(Bucket=self.bucket, Key=PREFIX + key)


@dataclass
class S3AndPostgreSQL(Backend):
    """What many machines share."""

    s3: S3Server
    server: PostgreSQL

    def place(self, folder: Path) -> Place:  # noqa: ARG002 - nothing of it is local
        return BucketAndDatabase(self.s3, self.server)
