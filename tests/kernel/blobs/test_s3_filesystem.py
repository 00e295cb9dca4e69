"""PyFilesystem2's own suite over S3, and what it does not ask."""

import gc
import io
import unittest
from contextlib import suppress
from typing import Any

import fs
import pytest
from fs import errors
from fs.test import FSTestCases

from hubrepo.kernel.blobs.stores.s3_address import S3Address
from hubrepo.kernel.blobs.stores.s3_filesystem import S3FS
from tests.support.s3 import requests_of

pytestmark = pytest.mark.long

MIB = 1024**2
SMALLEST_PART = 5 * MIB


@pytest.mark.stress
class TestS3FS(FSTestCases, unittest.TestCase):
    """Nothing is left out."""

    @pytest.fixture(autouse=True)
    def server(self, s3):
        self.s3 = s3

    def make_fs(self) -> Any:
        return S3FS(S3Address.parse(self.s3.url(f"{self.s3.new_bucket()}/below")))


@pytest.fixture
def loose(s3):
    """A filesystem that asks no questions, with parts as small as S3 has them."""
    filesystem = S3FS(S3Address.parse(s3.url(s3.new_bucket())), strict=False)
    filesystem.bucket.part = SMALLEST_PART
    yield filesystem
    assert list(filesystem.bucket.uploads()) == [], "an upload was left unfinished"
    filesystem.close()


def test_a_small_file_is_one_request_and_a_large_one_is_sent_as_it_is_written(loose):
    seen = requests_of(loose)
    loose.writebytes("small", b"a few bytes")
    assert loose.readbytes("small") == b"a few bytes"
    loose.upload("small", io.BytesIO(b"others"))
    loose.download("small", target := io.BytesIO())
    assert target.getvalue() == b"others"
    assert seen == {"PutObject": 2, "GetObject": 2}
    seen.clear()
    content = bytes(range(256)) * (12 * MIB // 256)
    with loose.openbin("large", "w") as file:
        for at in range(0, len(content), 700_000):
            file.write(content[at : at + 700_000])
        assert seen["UploadPart"] == 2
    assert seen == {"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1}
    assert loose.readbytes("large") == content


def test_a_writer_that_fails_or_is_forgotten_publishes_nothing(loose):
    def fail(**_: object) -> None:
        raise ZeroDivisionError

    loose.writebytes("file", b"as it was")
    large = 6 * MIB
    for mode, size in (("w", 10), ("wb", 10), ("r+b", 10), ("a", 10), ("w+b", 10), ("wb", large)):
        content = b"x" * size if "b" in mode else "x" * size
        with suppress(ZeroDivisionError), loose.open("file", mode) as file:
            file.write(content)
            fail()
        file = loose.open("file", mode)
        file.write(content)
        del file
        gc.collect()
        assert loose.readbytes("file") == b"as it was"
    loose.bucket.client.meta.events.register("before-call.s3.UploadPart", fail)
    file = loose.openbin("file", "w")
    with pytest.raises(ZeroDivisionError):
        file.write(b"x" * large)
    file.close()
    assert loose.readbytes("file") == b"as it was"


def test_only_one_of_two_creates_a_file(loose):
    for name, size in (("small", 3), ("large", 6 * MIB)):
        second = loose.openbin(name, "x")
        second.write(b"2" * size)
        with loose.openbin(name, "x") as first:
            first.write(b"1" * size)
        with pytest.raises(errors.FileExists):
            second.close()
        assert loose.readbytes(name) == b"1" * size


def test_a_range_is_one_request_and_another_object_is_not_read_on(loose):
    content = bytes(range(256)) * 4096
    loose.writebytes("file", content)
    seen = requests_of(loose)
    with loose.open_range("file", 1000, 600_000) as file:
        assert file.read(300_000) == content[1000:301_000]
        assert file.read(300_000) == content[301_000:601_000]
        assert (file.seek(0, 2), file.seek(601_000 - 4)) == (len(content), 600_996)
        assert file.read(4) == content[600_996:601_000]
        assert seen == {"GetObject": 1}
        file.seek(5)
        assert file.read(5) == content[5:10]
        assert seen == {"GetObject": 2}
    with loose.open_range("file", 0, 10) as file:
        assert file.read(10) == content[:10]
        loose.writebytes("file", b"b" * MIB)
        with pytest.raises(errors.OperationFailed):
            file.read(10)


def test_names_of_all_kinds_are_kept_and_listed_to_the_end(loose):
    """S3 tells of a thousand at a time; here of two."""
    loose.bucket.client.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2}
    )
    names = ["a b", "ü☭", "100%", "a+b", "a&b<c>", "q?x=1#y", "dots.", "..."]
    for name in names:
        loose.writebytes(f"folder/{name}", name.encode())
    seen = requests_of(loose)
    assert sorted(loose.listdir("folder")) == sorted(names)
    assert seen == {"ListObjectsV2": 4}
    assert all(loose.readbytes(f"folder/{name}") == name.encode() for name in names)


def test_a_url_opens_it_as_any_other_filesystem(s3):
    bucket = s3.new_bucket()
    with fs.open_fs(s3.url(f"{bucket}/here")) as filesystem:
        filesystem.writetext("file", "text")
        assert filesystem.geturl("file", purpose="fs") == f"s3://{bucket}/here/file"
    with fs.open_fs(s3.url(bucket)) as filesystem:
        assert filesystem.readtext("here/file") == "text"
    with pytest.raises(errors.CreateFailed, match="the name of a bucket"):
        fs.open_fs("s3://?region=eu")
