"""Promise: our filesystem on S3 does at least 0.8 of what raw boto3 does on the same server.

The server is Ceph's gateway where it is installed, else moto's. Raw boto3 puts with `put_object`, or for
100 MiB with whichever of `put_object` and `upload_file` is faster here, and reads with `get_object`. Both
sides send and receive the same bytes from and to the same places, and take turns; so do their
configurations: checksums only where S3 demands them, which is what old servers understand.

Besides, the store: it spools and hashes a blob before it sends it, which no caller can do without.
"""

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3.session
from botocore.config import Config
from support import MIB, Verdict, folder, take_turns

from hubrepo.kernel.blobs import Store, open_store
from hubrepo.kernel.blobs.stores.s3_address import S3Address
from hubrepo.kernel.blobs.stores.s3_filesystem import S3FS
from tests.support.s3 import S3Server, ceph, ceph_is_missing, credentials, moto

PROMISED = 0.8
SMALL = 4096
RANGE = 64 * 1024
LARGE = 100 * MIB
CHUNK = 256 * 1024
TIMES = 40
KEY = "0123456789abcdef0123456789abcdef/ab/" + "c" * 62


@contextmanager
def server(place: Path) -> Iterator[S3Server]:
    with moto() if ceph_is_missing() else ceph(place / "ceph") as running:
        yield running


def raw_client(running: S3Server) -> Any:
    config = Config(
        request_checksum_calculation="when_required", response_checksum_validation="when_required"
    )
    return boto3.session.Session().client("s3", endpoint_url=running.endpoint, config=config)


def rate(times: int, act: Callable[[], object]) -> float:
    """How often `act` can be done in a second."""
    started = time.perf_counter()
    for _ in range(times):
        act()
    return times / (time.perf_counter() - started)


def drain(body: Any, length: int) -> None:
    while piece := body.read(CHUNK):
        length -= len(piece)
    assert length == 0


class Raw:
    """boto3, as its documentation shows it."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, key: str, data: bytes) -> None:
        """Write bytes."""
        self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def get(self, key: str, length: int) -> None:
        """Read all of an object."""
        drain(self._client.get_object(Bucket=self._bucket, Key=key)["Body"], length)

    def get_range(self, key: str, start: int, length: int) -> None:
        """Read some of it."""
        wanted = f"bytes={start}-{start + length - 1}"
        answer = self._client.get_object(Bucket=self._bucket, Key=key, Range=wanted)
        drain(answer["Body"], length)

    def put_file(self, key: str, path: Path) -> None:
        """Write a file whose size is known."""
        with path.open("rb") as file:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=file)

    def upload_file(self, key: str, path: Path) -> None:
        """The same in parts, by several threads."""
        self._client.upload_file(str(path), self._bucket, key)


class Ours:
    """The same by our filesystem, as PyFilesystem2 has it."""

    def __init__(self, filesystem: S3FS) -> None:
        self._fs = filesystem

    def put(self, key: str, data: bytes) -> None:
        """Write bytes."""
        self._fs.upload(key, io.BytesIO(data))

    def get(self, key: str, length: int) -> None:
        """Read all of an object."""
        with self._fs.open_range(key) as file:
            drain(file, length)

    def get_range(self, key: str, start: int, length: int) -> None:
        """Read some of it."""
        with self._fs.open_range(key, start, length) as file:
            assert len(file.read(length)) == length

    def put_file(self, key: str, path: Path) -> None:
        """Write a file whose size is known."""
        with path.open("rb") as file:
            self._fs.upload(key, file)

    def write_file(self, key: str, path: Path) -> None:
        """As one writes who does not know how much it will be."""
        with path.open("rb") as file, self._fs.openbin(key, "w") as target:
            while piece := file.read(CHUNK):
                target.write(piece)


def promote(store: Store, path: Path) -> None:
    stage = store.stage()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            stage.write(piece)
    store.promote(stage, KEY)


def compare(verdict: Verdict, label: str, unit: str, scale: float, **sides: Any) -> None:
    """`sides` begins with ours; all others are raw, of which the best counts."""
    measured = take_turns({name: partial(rate, *side) for name, side in sides.items()})
    for name, value in measured.items():
        verdict.show(f"{label}: {name.replace('_', ' ')}", value * scale, unit)
    best = max(value for name, value in measured.items() if name.startswith("raw"))
    verdict.at_least(f"{label}: our filesystem beside raw boto3", measured["ours"] / best, PROMISED)


def main() -> None:
    verdict = Verdict("our S3 filesystem beside raw boto3")
    with folder() as place, server(place) as running, credentials(running):
        bucket = running.new_bucket()
        url = running.url(bucket)
        raw, store = Raw(raw_client(running), bucket), open_store(url)
        ours = Ours(S3FS(S3Address.parse(url), strict=False))
        path, small = place / "large", os.urandom(SMALL)
        path.write_bytes(os.urandom(LARGE))
        spot = LARGE // 2 - 7

        compare(
            verdict, "put 4 KiB", "1/s", 1,
            ours=(TIMES, lambda: ours.put("ours", small)),
            raw=(TIMES, lambda: raw.put("raw", small)),
        )  # fmt: skip
        compare(
            verdict, "get 4 KiB", "1/s", 1,
            ours=(TIMES, lambda: ours.get("ours", SMALL)),
            raw=(TIMES, lambda: raw.get("raw", SMALL)),
        )  # fmt: skip
        compare(
            verdict, "100 MiB up", "MiB/s", LARGE / MIB,
            ours=(1, lambda: ours.put_file("ours", path)),
            raw_put_object=(1, lambda: raw.put_file("raw", path)),
            raw_upload_file=(1, lambda: raw.upload_file("raw", path)),
            as_a_stream_of_unknown_length=(1, lambda: ours.write_file("stream", path)),
            the_store_with_spooling_and_hashing=(1, lambda: promote(store, path)),
        )  # fmt: skip
        compare(
            verdict, "64 KiB out of 100 MiB", "1/s", 1,
            ours=(TIMES, lambda: ours.get_range("ours", spot, RANGE)),
            raw=(TIMES, lambda: raw.get_range("raw", spot, RANGE)),
        )  # fmt: skip
        compare(
            verdict, "100 MiB down", "MiB/s", LARGE / MIB,
            ours=(1, lambda: ours.get("ours", LARGE)),
            raw=(1, lambda: raw.get("raw", LARGE)),
        )  # fmt: skip
        with store.open(KEY) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole = hashlib.sha256(path.read_bytes()).hexdigest()
        verdict.holds("what was sent is what is read", kept=digest == whole)
    verdict.close()


if __name__ == "__main__":
    main()
