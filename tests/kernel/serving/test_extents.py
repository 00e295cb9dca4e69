"""A member of an archive is sent as it lies, in a gzip frame, or inflated: always the same content."""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass, field
from itertools import product

import pytest
from pyramid.request import Request
from waitress.buffers import ReadOnlyFileBasedBuffer

from hubrepo.kernel.archives import GZIP_FRAME, gzip_framed
from hubrepo.kernel.serving import Extent, Representation, respond_extent
from hubrepo.kernel.serving.extents import accepts_gzip
from hubrepo.kernel.serving.responses import SMALL, UnsatisfiableRange

BEFORE, AFTER = b"<before>" * 7, b"<after>" * 9
GIB = 1024**3

# Small ones are read at once, large ones are handed to the server.
CONTENTS = {
    "empty": b"",
    "small": b"a small page\n" * 20,
    "large": b"".join(b"%07d\n" % number for number in range(SMALL // 4)),
}


def deflated(content):
    return zlib.compress(content, wbits=-zlib.MAX_WBITS)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Watched(io.BytesIO):
    """A file that notes which of its bytes were read."""

    def __init__(self, content, read):
        super().__init__(content)
        self._read = read

    def read(self, size=-1, /):
        start = self.tell()
        piece = super().read(size)
        self._read.append((start, start + len(piece)))
        return piece


@dataclass
class Blob:
    """A blob with one file in it, and what was done with it."""

    content: bytes
    is_deflated: bool
    read: list = field(default_factory=list)
    files: list = field(default_factory=list)

    def __post_init__(self):
        self.stream = deflated(self.content) if self.is_deflated else self.content
        self.bytes = BEFORE + self.stream + AFTER
        sizes = (len(self.stream), len(self.content))
        stored = sha256(self.stream) if self.is_deflated else None
        crc, digest = zlib.crc32(self.content), sha256(self.content)
        self.extent = Extent(len(BEFORE), *sizes, crc, digest, stored)

    def open(self, start, length):
        assert start + length <= len(self.bytes)
        file = Watched(self.bytes, self.read)
        file.is_remote = self.is_remote
        file.seek(start)
        self.files.append(file)
        return file

    def ask(self, method="GET", status=200, wrapper=True, is_remote=False, **headers):
        request = Request.blank("/x", method=method)
        request.headers.update({name.replace("_", "-"): text for name, text in headers.items()})
        if wrapper:
            request.environ["wsgi.file_wrapper"] = ReadOnlyFileBasedBuffer
        self.is_remote, extent = is_remote, self.extent
        what = Representation(extent.digest, extent.size, None, "text/plain", "no-cache")
        return respond_extent(request, what, extent, self.open, status)


def body_of(answer):
    """What a server sends, by the way waitress takes for what it was handed."""
    app_iter = answer.app_iter
    if isinstance(app_iter, ReadOnlyFileBasedBuffer):
        app_iter.prepare(answer.content_length)
        app_iter = iter(lambda: answer.app_iter.get(30_000, skip=True), b"")
    body = b"".join(app_iter)
    if hasattr(answer.app_iter, "close"):
        answer.app_iter.close()
    assert len(body) == answer.content_length
    return body


KINDS = list(product(CONTENTS, [False, True]))


@pytest.mark.parametrize(("content", "is_deflated"), KINDS)
def test_whatever_is_accepted_the_content_is_the_same(content, is_deflated):
    """And HEAD has the headers of GET, and no byte beside the file is read."""
    accepts = (None, "gzip, deflate, br", "identity")
    for accept, status, wrapper in product(accepts, (200, 404), (True, False)):
        blob = Blob(CONTENTS[content], is_deflated)
        headers = {} if accept is None else {"Accept_Encoding": accept}
        answer = blob.ask(status=status, wrapper=wrapper, **headers)
        framed = is_deflated and accept is not None and "gzip" in accept
        assert answer.status_int == status
        assert answer.headers.get("Content-Encoding") == ("gzip" if framed else None)
        assert answer.headers["Vary"] == "Accept-Encoding"
        body = body_of(answer)
        assert (gzip.decompress(body) if framed else body) == blob.content
        if framed:
            assert body[10:-8] == blob.stream
        remote = blob.ask(status=status, wrapper=wrapper, is_remote=True, **headers)
        assert not isinstance(remote.app_iter, ReadOnlyFileBasedBuffer), "its thread may not wait"
        assert body_of(remote) == body
        start, end = len(BEFORE), len(BEFORE) + len(blob.stream)
        assert all(start <= first <= last <= end for first, last in blob.read)
        assert all(file.closed for file in blob.files)
        opened = len(blob.files)
        head = blob.ask("HEAD", status=status, **headers)
        assert (head.status, head.headerlist) == (answer.status, answer.headerlist)
        assert list(head.app_iter) == []
        assert len(blob.files) == opened


@pytest.mark.parametrize("is_deflated", [False, True])
def test_a_range_is_one_of_the_content_and_never_of_a_coding(is_deflated):
    ranges = ("0-0", "7-99", "-5", "130000-", "100-100000")
    for asked, accept in product(ranges, ("gzip", "identity")):
        blob = Blob(CONTENTS["large"], is_deflated)
        answer = blob.ask(Range=f"bytes={asked}", Accept_Encoding=accept)
        start, _, last = asked.partition("-")
        size = len(blob.content)
        first = int(start or size - int(last))
        end = int(last) + 1 if start and last else size
        assert answer.status_int == 206
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["ETag"] == f'"{blob.extent.digest}"'
        assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
        assert body_of(answer) == blob.content[first:end]
    with pytest.raises(UnsatisfiableRange) as caught:
        Blob(CONTENTS["small"], is_deflated).ask(Range="bytes=5000-", Accept_Encoding="gzip")
    assert caught.value.headers["Content-Range"] == f"bytes */{len(CONTENTS['small'])}"


def test_a_range_is_not_taken_of_an_error_page_nor_for_a_framed_copy():
    blob = Blob(CONTENTS["small"], is_deflated=True)
    answer = blob.ask(status=404, Range="bytes=0-3")
    assert (answer.status_int, body_of(answer)) == (404, blob.content)
    tag = blob.ask("HEAD", Accept_Encoding="gzip").headers["ETag"]
    answer = blob.ask(Range="bytes=0-3", If_Range=tag, Accept_Encoding="gzip")
    assert (answer.status_int, body_of(answer)) == (200, blob.content)
    assert "Content-Encoding" not in answer.headers


def test_each_coding_has_a_strong_tag_of_its_own():
    blob = Blob(CONTENTS["small"], is_deflated=True)
    plain, framed = blob.ask().headers["ETag"], blob.ask(Accept_Encoding="gzip").headers["ETag"]
    assert plain != framed
    assert all(tag.startswith('"') and tag.endswith('"') for tag in (plain, framed))
    # The same content from another compressor is the same bytes for one of them only.
    other = Blob(blob.content, is_deflated=True)
    other.stream = zlib.compress(blob.content, 0, -zlib.MAX_WBITS)
    assert other.stream != blob.stream
    other.extent = Extent(
        0, len(other.stream), len(blob.content), 0, sha256(blob.content), sha256(other.stream)
    )
    assert other.ask("HEAD").headers["ETag"] == plain
    assert other.ask("HEAD", Accept_Encoding="gzip").headers["ETag"] != framed


def test_a_copy_is_fresh_only_in_the_coding_that_would_be_sent():
    blob = Blob(CONTENTS["small"], is_deflated=True)
    codings = ("gzip", "identity")
    tags = {each: blob.ask("HEAD", Accept_Encoding=each).headers["ETag"] for each in codings}
    for accept, held in product(codings, codings):
        answer = blob.ask(Accept_Encoding=accept, If_None_Match=tags[held])
        assert answer.status_int == (304 if held == accept else 200)
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["ETag"] == tags[accept]


def test_of_a_range_no_more_is_read_than_it_needs():
    blob = Blob(CONTENTS["large"], is_deflated=False)
    body_of(blob.ask(Range="bytes=1000-1999"))
    assert blob.read == [(len(BEFORE) + 1000, len(BEFORE) + 2000)]
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(60_000))
    blob = Blob(noise, is_deflated=True)
    assert body_of(blob.ask(Range="bytes=10-99")) == blob.content[10:100]
    assert sum(last - first for first, last in blob.read) < len(blob.stream) / 2


def test_files_beyond_four_gigabytes_have_their_true_length():
    for size in (2**32 - 1, 2**32, 5 * GIB + 7):
        *_, tail = gzip_framed(iter([b""]), 0xDEADBEEF, size)
        assert tail == (0xDEADBEEF).to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    huge = Blob(b"", is_deflated=True)
    huge.extent = Extent(99, 5 * GIB, 6 * GIB, 0, "c" * 64, "d" * 64)
    assert huge.ask("HEAD").content_length == 6 * GIB
    assert huge.ask("HEAD", Accept_Encoding="gzip").content_length == 5 * GIB + GZIP_FRAME


def test_gzip_is_sent_to_those_who_take_it():
    many = ", ".join(f"x{number}" for number in range(99))
    yes = ("gzip", "GZip", "deflate, gzip;q=0.5", "br, gzip;q=1.0, *;q=0.5", "*", f"{many}, gzip")
    no = (None, "", "identity", "deflate, br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzipped")
    for header in (*yes, *no, "gzip;q=2", "\xff", many):
        for _ in range(2):
            assert accepts_gzip(header) is (header in yes), header
