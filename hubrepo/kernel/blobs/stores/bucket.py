"""A place in a bucket of S3, and every request that is ever sent there.

One call of a method is one request, unless it says otherwise. All that goes wrong comes out as an
error of PyFilesystem2 that tells in plain words what it was, and no credential.

A request has `timeout` seconds, and where it failed at once, as on a connection that had gone stale, it
is tried a second time. Answers that never come open the breaker.
"""

import hashlib
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Self, TypeVar

import boto3.session
from botocore import exceptions as boto
from botocore.config import Config

from hubrepo.kernel.blobs.stores.breaker import AtRest, Breaker
from hubrepo.kernel.blobs.stores.pyfilesystem import errors
from hubrepo.kernel.blobs.stores.s3_address import S3Address
from hubrepo.kernel.blobs.stores.s3_errors import (
    BehindTheEnd,
    is_passing,
    is_silence,
    plain,
    translated,
)

log = logging.getLogger(__name__)

MIB = 1024**2
# S3 takes up to 5 GiB in one request; beyond, parts of at least 5 MiB, and 10,000 of them at most.
PUT_LIMIT = 5 * 1024**3
PART = 16 * MIB
MOST_PARTS = 10_000
POOL = 32

# What a read may take of the time that a request has.
READING = 5 / 8

# Bytes a second. A body goes at least as fast, either way, or S3 is taken for silent.
SLOWEST = 256 * 1024

_SMALL = 256 * 1024
_AT_ONCE = 0.5
_PAUSE = 0.1

Result = TypeVar("Result")


@dataclass(frozen=True)
class Entry:
    """An object as a listing shows it; its key is what follows the prefix of the place."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Content:
    """What a GET brought: `length` bytes, from `start` on, of an object of `size` bytes.

    `asked` is when it was sent, by the monotonic clock.
    """

    body: Any
    start: int
    length: int
    size: int
    etag: str
    asked: float


@dataclass(frozen=True)
class Unfinished:
    """A multipart upload that was begun and not ended."""

    key: str
    upload: str
    started: datetime


def connect(address: S3Address) -> Any:
    """A client, to be made once and shared by all threads."""
    path_style = address.addressing == "path" or (address.endpoint and not address.addressing)
    addressing = "path" if path_style else address.addressing or "auto"
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        # The first is also how long a body that is being sent may get stuck. A client that asks for
        # leave to send a large one waits a second for it.
        connect_timeout=address.timeout / 2,
        read_timeout=address.timeout * READING,
        # Whoever waits for an answer cannot wait for three.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=POOL,
        tcp_keepalive=True,
        # Checksums in trailers are unknown to servers that are a few years old.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session()
    region = address.region or session.region_name or ("us-east-1" if address.endpoint else None)
    return session.client("s3", endpoint_url=address.endpoint, region_name=region, config=config)


class Bucket:
    """The objects of `address`, by the rest of their keys behind its prefix."""

    def __init__(self, address: S3Address) -> None:
        self.address, self.put_limit, self.part = address, PUT_LIMIT, PART
        # Seconds in which S3 must say something.
        self.patience = address.timeout * READING
        try:
            self.client = connect(address)
        except (boto.BotoCoreError, ValueError) as error:
            raise errors.CreateFailed(plain(f"S3 cannot be set up: {error}"), exc=error) from error
        self._breaker = Breaker()
        self._before = f"{address.prefix}/" if address.prefix else ""
        self._place = {"Bucket": address.bucket}

    def put(
        self, key: str, body: IO[bytes] | bytes, size: int, digest: str | None = None,
        *, only_new: bool = False,
    ) -> None:  # fmt: skip
        """Write an object of `size` bytes, or above `put_limit` bytes in parts.

        `digest`, their hex SHA-256, lets servers that can look whether they got what was sent. The
        object is whole or as it was before. Raises FileExists if it must be new and is not.
        """
        if size > self.put_limit:
            self._put_in_parts(key, body, size, only_new=only_new)
            return
        if size <= _SMALL and not isinstance(body, bytes):
            # Bytes travel with the headers; a file waits for leave to be sent.
            body.seek(0)
            body = body.read(size)
        parameters = self._at(key) | {"ContentLength": size} | _condition(only_new=only_new)
        if digest is not None:
            parameters["ChecksumSHA256"] = b64encode(bytes.fromhex(digest)).decode("ascii")

        def send() -> None:
            if isinstance(body, bytes):
                self.client.put_object(**parameters, Body=body)
            else:
                body.seek(0)
                deadline = time.monotonic() + self.address.timeout + size / SLOWEST
                self.client.put_object(**parameters, Body=_Shut(body, deadline))

        self._ask(key, send, again=not only_new)

    def _put_in_parts(self, key: str, body: Any, size: int, *, only_new: bool) -> None:
        with Upload(self, key) as upload:
            part = max(self.part, -(-size // MOST_PARTS))
            for at in range(0, size, part):
                piece = body[at : at + part] if isinstance(body, bytes) else body.read(part)
                if len(piece) != min(part, size - at):
                    raise errors.OperationFailed(key, msg="what was to be written is not all there")
                upload.send(piece)
            upload.finish(only_new=only_new)

    def get(
        self, key: str, start: int = 0, length: int | None = None, etag: str | None = None
    ) -> Content:
        """Bytes of an object; where there are none from `start` on, a second request for its size.

        Raises ResourceNotFound, and OperationFailed when it is not the one of that `etag` any more.
        """
        parameters, asked = self._at(key), time.monotonic()
        if start or length is not None:
            last = "" if length is None else start + max(length, 1) - 1
            parameters["Range"] = f"bytes={start}-{last}"
        if etag is not None:
            parameters["IfMatch"] = etag
        try:
            answer = self._ask(key, lambda: self.client.get_object(**parameters))
        except BehindTheEnd:
            entry = self.head(key)
            return Content(None, start, 0, entry.size, "", asked)
        except errors.FileExists as error:
            message = "the object is another one than it was"
            raise errors.OperationFailed(key, exc=error, msg=message) from error
        here, whole = answer["ContentLength"], answer["ContentLength"]
        if "ContentRange" in answer:
            whole = int(answer["ContentRange"].rpartition("/")[2])
        elif start:
            # A server that knows no ranges has sent it all.
            answer["Body"].close()
            raise errors.OperationFailed(
                key, msg="S3 did not answer with the range that was asked for"
            )
        return Content(answer["Body"], start, here, whole, answer["ETag"], asked)

    def head(self, key: str) -> Entry:
        """Size and age of an object.

        Raises ResourceNotFound, also where the bucket is missing: the answer has no body to say so.
        """
        answer = self._ask(key, lambda: self.client.head_object(**self._at(key)))
        return Entry(key, answer["ContentLength"], answer["LastModified"].astimezone(UTC))

    def delete(self, key: str) -> None:
        """Remove an object; nothing there is fine."""
        self._ask(key, lambda: self.client.delete_object(**self._at(key)))

    def copy(self, source: str, target: str) -> None:
        """Copy an object of at most 5 GiB within the bucket. Raises ResourceNotFound."""
        origin = {**self._place, "Key": self._before + source}
        self._ask(source, lambda: self.client.copy_object(**self._at(target), CopySource=origin))

    def entries(
        self, beginning: str = "", *, folder: bool = False, most: int | None = None
    ) -> Iterator[Entry | str]:
        """Objects whose keys begin so, in the order of keys; a request for each thousand.

        In a `folder`, what lies deeper is told by the name of the folder it is in, which ends in a
        slash.
        """
        parameters: dict[str, Any] = {**self._place, "Prefix": self._before + beginning}
        if folder:
            parameters["Delimiter"] = "/"
        if most is not None:
            parameters["MaxKeys"] = most
        while True:
            answer = self._ask(beginning, lambda: self.client.list_objects_v2(**parameters))
            found = [self._entry(each) for each in answer.get("Contents", ())]
            folders = [each["Prefix"] for each in answer.get("CommonPrefixes", ())]
            yield from found
            yield from (each.removeprefix(self._before) for each in folders)
            if most is not None or not answer.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    def _entry(self, item: Mapping[str, Any]) -> Entry:
        key = item["Key"].removeprefix(self._before)
        return Entry(key, item["Size"], item["LastModified"].astimezone(UTC))

    def link(self, key: str, seconds: int, parameters: Mapping[str, str]) -> str:
        """An address of an object that is good for `seconds`. No request is sent."""
        address: str = self.client.generate_presigned_url(
            "get_object", Params=self._at(key) | dict(parameters), ExpiresIn=seconds
        )
        return address

    def begin_upload(self, key: str) -> str:
        """Begin an object that is sent in parts; the name of the upload."""
        answer = self._ask(key, lambda: self.client.create_multipart_upload(**self._at(key)))
        name: str = answer["UploadId"]
        return name

    def send_part(self, key: str, upload: str, number: int, data: bytes | bytearray) -> str:
        """Send a part, numbered from 1; its tag."""
        named = {**self._at(key), "UploadId": upload, "PartNumber": number}
        if self.client.meta.endpoint_url.startswith("https:"):
            # Without encryption the signature speaks for the bytes; with it, only this does.
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            named["ContentMD5"] = b64encode(digest).decode("ascii")
        tag: str = self._ask(key, lambda: self.client.upload_part(**named, Body=data))["ETag"]
        return tag

    def end_upload(self, key: str, upload: str, tags: Sequence[str], *, only_new: bool) -> None:
        """Make the parts an object. Raises FileExists if it must be new and is not."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        named = {**self._at(key), "UploadId": upload, "MultipartUpload": {"Parts": parts}}
        named |= _condition(only_new=only_new)
        self._ask(key, lambda: self.client.complete_multipart_upload(**named), again=False)

    def abort_upload(self, key: str, upload: str) -> None:
        """Forget the parts of an upload; one that is gone is fine."""
        try:
            named = {**self._at(key), "UploadId": upload}
            self._ask(key, lambda: self.client.abort_multipart_upload(**named))
        except errors.ResourceNotFound:
            return

    def uploads(self) -> Iterator[Unfinished]:
        """Uploads that were begun and not ended; a request for each thousand."""
        parameters: dict[str, Any] = {**self._place, "Prefix": self._before}
        while True:
            answer = self._ask("", lambda: self.client.list_multipart_uploads(**parameters))
            for each in answer.get("Uploads", ()):
                key = each["Key"].removeprefix(self._before)
                yield Unfinished(key, each["UploadId"], each["Initiated"].astimezone(UTC))
            if not answer.get("IsTruncated"):
                return
            parameters["KeyMarker"] = answer["NextKeyMarker"]
            parameters["UploadIdMarker"] = answer["NextUploadIdMarker"]

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()

    def failed(self, key: str, error: Exception) -> errors.FSError:
        """What to raise for an error that came while the body of an answer was read."""
        if is_silence(error):
            self._breaker.fell_silent()
        return translated(key, error)

    def _at(self, key: str) -> dict[str, Any]:
        return {**self._place, "Key": self._before + key}

    def _ask(self, key: str, call: Callable[[], Result], *, again: bool = True) -> Result:
        started = time.monotonic()
        try:
            with self._breaker.call(is_silence):
                return call()
        except (boto.BotoCoreError, boto.ClientError, AtRest) as error:
            if not (again and is_passing(error) and time.monotonic() - started < _AT_ONCE):
                raise translated(key, error) from error
        time.sleep(_PAUSE)
        return self._ask(key, call, again=False)


class Upload:
    """An object that is sent in parts. Left before `finish`, its parts are forgotten."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key, self._tags = bucket, key, list[str]()
        self._name: str | None = bucket.begin_upload(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def send(self, data: bytes | bytearray) -> None:
        """The next part: at least 5 MiB, unless it is the last."""
        assert self._name is not None  # noqa: S101 - not finished yet
        number = len(self._tags) + 1
        self._tags.append(self._bucket.send_part(self._key, self._name, number, data))

    def finish(self, *, only_new: bool = False) -> None:
        """Make the parts the object."""
        assert self._name is not None  # noqa: S101 - not finished yet
        self._bucket.end_upload(self._key, self._name, self._tags, only_new=only_new)
        self._name = None

    def abort(self) -> None:
        """Forget the parts. What cannot be forgotten now is swept later; after `finish` harmless."""
        name, self._name = self._name, None
        if name is not None:
            try:
                self._bucket.abort_upload(self._key, name)
            except errors.FSError:
                log.warning("could not abort the upload of %s", self._key, exc_info=True)


class _Shut:
    """A body that botocore may read and rewind, but not close, nor read after `deadline`."""

    def __init__(self, body: Any, deadline: float) -> None:
        self.seek, self.tell = body.seek, body.tell
        self._read, self._deadline = body.read, deadline

    def read(self, size: int = -1) -> Any:
        """As of the body. Raises TimeoutError: a body that goes drop by drop never gets stuck."""
        if time.monotonic() > self._deadline:
            raise TimeoutError("S3 takes the body too slowly")
        return self._read(size)


def _condition(*, only_new: bool) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if only_new else {}
