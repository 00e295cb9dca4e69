"""Downloads: section 5, checks 32 to 35."""

import base64
import hashlib
import re
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.artifacts import assert_refused, caller, kept, sha256
from tests.support.contract import file_part, multipart, same_answer, text_part
from tests.support.hub import Hub

PATH = "/product/download/my-lib/v1"
CONTENT = bytes(range(256)) * 10


@pytest.fixture
def filled(usr, my_lib):
    """Who has `my-lib` with `v1`."""
    usr.put(my_lib, "v1", CONTENT, "my-lib.tar.gz")
    return usr


class TestHeaders:
    def test_a_download_is_the_bytes_to_save(self, filled):
        """Check 32."""
        whole = filled.get(PATH)
        digest = sha256(CONTENT)
        repr_digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
        assert whole.body == CONTENT
        wanted = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(CONTENT)),
            "Content-Disposition": 'attachment; filename="my-lib.tar.gz"',
            "ETag": f'"{digest}"',
            "X-Checksum-Sha256": digest,
            "Repr-Digest": f"sha-256=:{repr_digest}:",
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        assert {name: whole.headers[name] for name in wanted} == wanted
        assert whole.headers["Last-Modified"].endswith(" GMT")

    def test_a_head_has_the_same_and_no_body(self, filled):
        """Check 33."""
        whole, head = filled.get(PATH), filled.call("HEAD", PATH, status=200)
        assert head.body == b""
        for name, text in whole.headerlist:
            if name not in {"X-Request-Id", "Date"}:
                assert head.headers[name] == text

    @pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x.png", "x.txt", "x"])
    def test_whatever_it_is_it_is_saved_and_not_shown(self, usr, my_lib, name):
        """Check 34."""
        usr.put(my_lib, "v1", b"<script>alert(1)</script>", name)
        headers = usr.get(PATH).headers
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Disposition"] == f'attachment; filename="{name}"'

    @pytest.mark.parametrize(
        "name",
        [
            *(
                "plain.zip",
                "with space.zip",
                "ünïcode.zip",
                "日本.zip",
                "100%.zip",
                "a%20b.zip",
                "a;b=c.zip",
            ),
            *("it's.zip", "a,b.zip", "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", "\U0001f600.zip"),
        ],
        ids=ascii,
    )
    def test_any_name_can_be_saved(self, usr, my_lib, name):
        """Check 34."""
        usr.put(my_lib, "v1", b"x", name)
        self.check(usr.get(PATH).headers["Content-Disposition"], name)

    def test_quotes_in_a_name_do_not_end_it(self, usr, my_lib):
        """Check 34."""
        parts = [text_part("product", my_lib), text_part("version", "v1")]
        parts.append(file_part(b"x", filename='a%22b\\"; filename=evil.exe; x="ü.zip'))
        kind = "multipart/form-data; boundary=frontier"
        told = usr.call("POST", "/product/upload", multipart(parts), content_type=kind, status=201)
        name = told.json["path"].rpartition("/")[2]
        assert '"' in name
        self.check(usr.get(PATH).headers["Content-Disposition"], name)

    def check(self, header, name):
        """The first `filename` is one that any client can read; the last one is exact."""
        match = re.fullmatch(
            r"attachment; filename=\"([^\"\\%]*)\"(?:; filename\*=UTF-8''([A-Za-z0-9%_.~-]+))?",
            header,
        )
        assert match, header
        plain, exact = match.groups()
        assert plain.isascii()
        assert plain.isprintable()
        assert (unquote(exact) if exact else plain) == name


class TestParts:
    @pytest.mark.parametrize(
        ("wanted", "part"),
        [
            ("bytes=0-9", slice(0, 10)),
            ("bytes=-1", slice(-1, None)),
            ("bytes=5-", slice(5, None)),
            ("bytes=2559-2559", slice(2559, 2560)),
            ("bytes=2550-9999", slice(2550, 2560)),
            ("bytes=-9999", slice(0, 2560)),
        ],
    )
    def test_a_part_is_206(self, filled, wanted, part):
        """Check 33."""
        answer = filled.get(PATH, 206, headers={"Range": wanted})
        start, stop, _ = part.indices(len(CONTENT))
        assert answer.body == CONTENT[part]
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
        assert answer.headers["Content-Length"] == str(stop - start)
        assert answer.headers["X-Checksum-Sha256"] == sha256(CONTENT)

    @pytest.mark.parametrize("wanted", ["bytes=2560-", "bytes=9999-10000", "bytes=-0"])
    def test_beyond_the_end_is_416(self, filled, wanted):
        """Check 33."""
        answer = filled.get(PATH, 416, headers={"Range": wanted})
        assert_refused(answer, 416)
        assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"

    @pytest.mark.parametrize("wanted", ["bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6"])
    def test_what_is_no_single_range_is_everything(self, filled, wanted):
        assert filled.get(PATH, 200, headers={"Range": wanted}).body == CONTENT

    @pytest.mark.parametrize("template", ["{}", "*", '"x", {}', "W/{}"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_who_has_it_hears_304(self, filled, template, method):
        """Check 33."""
        tag = template.format(f'"{sha256(CONTENT)}"')
        answer = filled.call(method, PATH, headers={"If-None-Match": tag}, status=304)
        assert (answer.body, answer.headers["ETag"]) == (b"", f'"{sha256(CONTENT)}"')

    def test_a_part_of_something_else_is_the_whole(self, filled):
        tag = f'"{sha256(CONTENT)}"'
        for if_range, status in ((tag, 206), ('"other"', 200), (f"W/{tag}", 200)):
            filled.get(PATH, status, headers={"Range": "bytes=0-9", "If-Range": if_range})
        assert_refused(filled.get(PATH, 412, headers={"If-Match": '"other"'}), 412)
        filled.get(PATH, headers={"If-Match": tag})

    def test_nothing_of_an_empty_one_can_be_asked_for(self, usr, my_lib):
        usr.put(my_lib, "v1", b"")
        assert usr.get(PATH).headers["Content-Length"] == "0"
        assert_refused(usr.get(PATH, 416, headers={"Range": "bytes=0-0"}), 416)


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
        for method, headers in [
            ("GET", {}),
            ("HEAD", {}),
            ("GET", {"Range": "bytes=0-3"}),
            ("GET", {"If-None-Match": "*"}),
            ("GET", {"If-Match": "*"}),
        ]:
            for who in (zusr, zadm):
                theirs = who.call(method, PATH, headers=headers, status=404)
                nowhere = who.call(method, PATH.replace("my", "no"), headers=headers, status=404)
                assert same_answer(theirs) == same_answer(nowhere)

    @pytest.mark.parametrize(
        "rest",
        [
            *(
                "%2e%2e%2f",
                "%2e%2e%2fv1",
                "my-lib/%2e%2e%2f",
                "my-lib/..",
                "../my-lib/v1",
                "my-lib/./v1",
            ),
            *(
                "my-lib/v1%00",
                "my-lib//v1",
                "/my-lib/v1",
                "my-lib/v1/..",
                "my-lib/%252e",
                "my-lib/~",
            ),
            *("my-lib\\v1", "my-lib/v1%0d%0aX: y", "my-lib/" + "a" * 129, "%c3%bc/v1"),
        ],
    )
    def test_what_cannot_be_a_name_is_404(self, filled, rest):
        """Check 35."""
        assert_refused(filled.call("GET", f"/product/download/{rest}"), 404)

    def test_missing_bytes_are_404_and_told_to_the_log(self, filled, caplog):
        (digest,) = kept(filled)
        for each in filled.hub.registry.stores.main.list():
            if each.key.replace("/", "").endswith(digest):
                filled.hub.registry.stores.main.delete(each.key)
        filled.refused(404, "GET", PATH)
        assert "the bytes of my-lib v1 are missing" in caplog.text


def test_it_is_led_to_the_store_where_that_is_wanted(s3, tmp_path):
    bucket = s3.url(f"{s3.new_bucket()}/hub")
    hub = Hub.below(tmp_path, blobs=bucket, redirect_downloads="true")
    client = caller(hub.organisation())
    client.create("my-lib")
    client.put("my-lib", "v1", CONTENT)
    answer = client.get(PATH, 302)
    assert answer.headers["Location"].startswith(s3.endpoint)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "attachment" in unquote(answer.headers["Location"])
    hub.registry.database.close()


@pytest.fixture(scope="module")
def anybody(hub):
    """Who has `my-lib` with `v1`."""
    client = caller(hub.organisation())
    client.create("my-lib")
    client.put("my-lib", "v1", CONTENT)
    return client


@settings(max_examples=100)
@given(start=st.integers(0, 3000), length=st.integers(0, 3000))
def test_every_range_is_what_it_says(anybody, start, length):
    """Check 33."""
    last = start + length
    answer = anybody.call("GET", PATH, headers={"Range": f"bytes={start}-{last}"})
    if start >= len(CONTENT):
        assert_refused(answer, 416)
    else:
        assert (answer.status_int, answer.body) == (206, CONTENT[start : last + 1])
