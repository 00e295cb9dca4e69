"""Places for the rows and bytes of a hub, and access to the bytes behind the hub's back."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.hub import Hub
from tests.support.postgres import PostgreSQL, connected
from tests.support.process import HubProcess
from tests.support.s3 import S3Server

PREFIX = "hub/"


class Place:
    """The rows and bytes of one hub.

    `keep` remembers both, `bring_back` makes them again what they were; no hub may have them open.
    """

    database: str
    blobs: str
    environ: Mapping[str, str] = {}
    is_local = False

    def process(
        self, folder: Path, settings: Mapping[str, str] = {}, workers: int = 1
    ) -> HubProcess:
        """Return a hub in a process of its own that keeps its rows and bytes here."""
        own = {"database": self.database, "blobs": self.blobs, **settings}
        return HubProcess(folder, own, environ=self.environ, workers=workers)

    def hub(self, **settings: str) -> Hub:
        """Return a hub in this process that keeps its rows and bytes here."""
        own = {"database": self.database, "blobs": self.blobs, "migrate_on_start": "true"}
        own |= {"security.failures_per_minute": "0", "security.key_failures_per_minute": "0"}
        own |= {key.replace("__", "."): text for key, text in settings.items()}
        return Hub({f"hubrepo.{key}": text for key, text in own.items()})

    def keys(self) -> list[str]:
        """Return the keys of all bytes in the store, sorted and without stages."""
        return sorted(key for key in self.listed() if not key.startswith(".stage/"))


class FolderAndFile(Place):
    """A folder of bytes, and a file of SQLite."""

    is_local = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "var" / "blobs"
        self.blobs, self.database = f"osfs://{self.root}", f"sqlite:///{folder}/var/hub.sqlite"

    def keep(self) -> None:
        shutil.copytree(self.folder / "var", self.folder / "kept")

    def bring_back(self) -> None:
        shutil.rmtree(self.folder / "var")
        shutil.copytree(self.folder / "kept", self.folder / "var")

    def listed(self) -> list[str]:
        files = (each for each in self.root.rglob("*") if each.is_file())
        return [each.relative_to(self.root).as_posix() for each in files]

    def read(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


@dataclass
class BucketAndDatabase(Place):
    """A bucket of S3, and a database of PostgreSQL."""

    s3: S3Server
    server: PostgreSQL

    def __post_init__(self) -> None:
        self.bucket, self.database = self.s3.new_bucket(), self.server.fresh()
        self.blobs = self.s3.url(f"{self.bucket}/{PREFIX.rstrip('/')}")
        self.environ = {**self.s3.environ, "AWS_CONFIG_FILE": os.devnull}

    def keep(self) -> None:
        self._kept = {key: self.read(key) for key in self.keys()}
        self._copy(self.database, f"{self.database}_kept")

    def bring_back(self) -> None:
        found = set(self.keys())
        for key in found - set(self._kept):
            self.remove(key)
        # A hub never changes bytes that are there.
        for key in set(self._kept) - found:
            self.write(key, self._kept[key])
        self.server.drop(self.database)
        self._copy(f"{self.database}_kept", self.database)

    def _copy(self, source: str, target: str) -> None:
        one, other = (url.rpartition("/")[2] for url in (source, target))
        with connected(self.server.url("postgres")) as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{other}" TEMPLATE "{one}"')

    def listed(self) -> list[str]:
        pages = self.s3.client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=PREFIX).search("Contents[].Key")
        return [key.removeprefix(PREFIX) for key in found if key is not None]

    def _call(self, operation: str, key: str, **more: Any) -> Any:
        return getattr(self.s3.client, operation)(Bucket=self.bucket, Key=PREFIX + key, **more)

    def read(self, key: str) -> bytes:
        return self._call("get_object", key)["Body"].read()

    def write(self, key: str, data: bytes) -> None:
        self._call("put_object", key, Body=data)

    def remove(self, key: str) -> None:
        self._call("delete_object", key)
