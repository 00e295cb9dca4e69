"""Downloads: section 5, checks 32 to 35."""

import base64
import hashlib
import re
from urllib.parse import unquote

import pytest

from tests.support.artifacts import assert_refused, kept, sha256, with_my_lib
from tests.support.contract import file_part, multipart, same_answer, text_part
from tests.support.hub import Hub

PATH = "/product/download/my-lib/v1"
CONTENT = bytes(range(256)) * 10
TAG = f'"{sha256(CONTENT)}"'


@pytest.fixture
def filled(usr, my_lib):
    """Who has `my-lib` with `v1`."""
    usr.put(my_lib, "v1", CONTENT, "my-lib.tar.gz")
    return usr


class TestHeaders:
    @pytest.mark.backend
    def test_a_download_is_the_bytes_to_save_and_a_head_has_no_body(self, filled):
        """Checks 32 and 33."""
        whole, head = filled.get(PATH), filled.call("HEAD", PATH, status=200)
        repr_digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
        assert (whole.body, head.body) == (CONTENT, b"")
        wanted = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(CONTENT)),
            "Content-Disposition": 'attachment; filename="my-lib.tar.gz"',
            "ETag": TAG,
            "X-Checksum-Sha256": sha256(CONTENT),
            "Repr-Digest": f"sha-256=:{repr_digest}:",
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        assert {name: whole.headers[name] for name in wanted} == wanted
        assert whole.headers["Last-Modified"].endswith(" GMT")
        for name, text in whole.headerlist:
            if name not in {"X-Request-Id", "Date"}:
                assert head.headers[name] == text

    def test_whatever_it_is_called_it_is_saved_under_that_name_and_not_shown(self, usr, my_lib):
        """Check 34."""
        names = "x.html x.svg x.js x.png x.txt x ünïcode.zip 日本.zip 100%.zip a%20b.zip a;b=c.zip"
        names += " \u202egpj.exe \U0001f600 it's.zip"
        quoted = 'a%22b\\"; filename=evil.exe; x="ü.zip'
        parts = [text_part("product", my_lib), text_part("version", "v1")]
        kind = "multipart/form-data; boundary=frontier"
        for name in [*names.split(), "with space.zip", quoted]:
            body = multipart([*parts, file_part(b"<script>alert(1)</script>", filename=name)])
            told = usr.call("POST", "/product/upload", body, content_type=kind, status=201)
            kept_as = told.json["path"].rpartition("/")[2]
            assert '"' in kept_as if name is quoted else kept_as == name
            headers = usr.get(PATH).headers
            assert headers["Content-Type"] == "application/octet-stream"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert_names(headers["Content-Disposition"], kept_as)
            usr.delete("/product/delete/my-lib/v1")


def assert_names(header, name):
    """The first `filename` is one that any client can read; the last one is exact."""
    match = re.fullmatch(
        r"attachment; filename=\"([^\"\\%]*)\"(?:; filename\*=UTF-8''([A-Za-z0-9%_.~-]+))?", header
    )
    assert match, header
    plain, exact = match.groups()
    assert plain.isascii()
    assert plain.isprintable()
    assert (unquote(exact) if exact else plain) == name


class TestParts:
    def test_a_part_of_something_else_is_the_whole(self, filled):
        for if_range, status in ((TAG, 206), ('"other"', 200), (f"W/{TAG}", 200)):
            filled.get(PATH, status, headers={"Range": "bytes=0-9", "If-Range": if_range})
        assert_refused(filled.get(PATH, 412, headers={"If-Match": '"other"'}), 412)
        filled.get(PATH, headers={"If-Match": TAG})
        filled.delete("/product/delete/my-lib/v1")
        filled.put("my-lib", "v1", CONTENT[::-1])
        part = filled.get(PATH, 200, headers={"Range": "bytes=0-9", "If-Range": TAG})
        assert part.body == CONTENT[::-1]

    @pytest.mark.backend
    def test_a_part_is_206(self, filled):
        """Check 33."""
        for wanted, start, stop in (
            *(("0-9", 0, 10), ("-1", 2559, 2560), ("5-", 5, 2560)),
            *(("2550-9999", 2550, 2560), ("-9999", 0, 2560)),
        ):
            answer = filled.get(PATH, 206, headers={"Range": f"bytes={wanted}"})
            assert answer.body == CONTENT[start:stop]
            assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
            assert answer.headers["Content-Length"] == str(stop - start)
            assert answer.headers["X-Checksum-Sha256"] == sha256(CONTENT)

    def test_beyond_the_end_is_416_and_what_is_no_single_range_is_everything(self, filled):
        """Check 33."""
        for wanted in ("bytes=2560-", "bytes=9999-10000", "bytes=-0"):
            answer = filled.get(PATH, 416, headers={"Range": wanted})
            assert_refused(answer, 416)
            assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
        for wanted in ("bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6"):
            assert filled.get(PATH, 200, headers={"Range": wanted}).body == CONTENT
        filled.put("my-lib", "empty", b"")
        path = "/product/download/my-lib/empty"
        assert filled.get(path).headers["Content-Length"] == "0"
        assert_refused(filled.get(path, 416, headers={"Range": "bytes=0-0"}), 416)

    def test_who_has_it_hears_304(self, filled):
        """Check 33."""
        for method in ("GET", "HEAD"):
            for tag in (TAG, "*", f'"x", {TAG}', f"W/{TAG}"):
                answer = filled.call(method, PATH, headers={"If-None-Match": tag}, status=304)
                assert (answer.body, answer.headers["ETag"]) == (b"", TAG)


class TestRights:
    def test_it_takes_the_flag(self, adm, usr2, filled):
        """Check 35."""
        usr2.refused(403, "GET", PATH)
        filled.grant("my-lib", usr2, "maintainer", "upload", "delete")
        for version in ("v1", "v2"):
            usr2.refused(403, "GET", f"/product/download/my-lib/{version}")
        filled.grant("my-lib", usr2, "download")
        assert usr2.get(PATH).body == adm.get(PATH).body == CONTENT

    def test_what_is_not_there_is_404_and_so_is_what_is_another_organisation_s(
        self, adm, zusr, zadm, filled
    ):
        """Check 35."""
        for who in (adm, filled):
            who.refused(404, "GET", "/product/download/my-lib/v2", None, "version")
            who.refused(404, "GET", "/product/download/none/v1", None, "product")
        asked = [("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-3"})]
        asked += [("GET", {"If-None-Match": "*"}), ("GET", {"If-Match": "*"})]
        for method, headers in asked:
            for who in (zusr, zadm):
                theirs = who.call(method, PATH, headers=headers, status=404)
                nowhere = who.call(method, PATH.replace("my", "no"), headers=headers, status=404)
                assert same_answer(theirs) == same_answer(nowhere)

    def test_what_cannot_be_a_name_is_404(self, filled):
        """Check 35."""
        rests = "%2e%2e%2f %2e%2e%2fv1 my-lib/%2e%2e%2f my-lib/.. ../my-lib/v1 my-lib/./v1 my-lib/~"
        rests += (
            " my-lib/v1%00 my-lib//v1 /my-lib/v1 my-lib/v1/.. my-lib/%252e my-lib\\v1 %c3%bc/v1"
        )
        for rest in [*rests.split(), "my-lib/v1%0d%0aX: y", "my-lib/" + "a" * 129]:
            assert_refused(filled.call("GET", f"/product/download/{rest}"), 404)

    @pytest.mark.backend
    def test_missing_bytes_are_404_and_told_to_the_log(self, filled, caplog):
        (digest,) = kept(filled)
        for each in filled.hub.registry.stores.main.list():
            if each.key.replace("/", "").endswith(digest):
                filled.hub.registry.stores.main.delete(each.key)
        filled.refused(404, "GET", PATH)
        assert "the bytes of my-lib v1 are missing" in caplog.text


@pytest.mark.backend
@pytest.mark.long
def test_it_is_led_to_the_store_where_that_is_wanted(s3, tmp_path):
    bucket = s3.url(f"{s3.new_bucket()}/hub")
    hub = Hub.below(tmp_path, blobs=bucket, redirect_downloads="true")
    client = with_my_lib(hub)
    client.put("my-lib", "v1", CONTENT)
    headers = client.get(PATH, 302).headers
    assert headers["Location"].startswith(s3.endpoint)
    assert headers["Cache-Control"] == "no-store"
    assert "attachment" in unquote(headers["Location"])
    hub.registry.database.close()
