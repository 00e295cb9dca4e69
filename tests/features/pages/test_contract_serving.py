"""What visitors get: section 11, "Serving", with D15, D25, D33, D34.

How codings, ranges, conditions and types are read is tested in `tests/kernel/serving`; here is that
visits follow them, in files that lie deflated in an archive and in files that lie there as they are.
"""

import gzip
import io
import random
import struct
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote, urljoin

import pytest
from webob import Request

from hubrepo.kernel.serving.extents import FARTHEST
from tests.support.archives import make_zip, page_zip
from tests.support.contract import statements
from tests.support.hub import Client, Hub

PAGES = "/api/pages"
TEXT = "".join(f"line {number}\n" for number in range(400))
TYPES = {
    "a.HTM": "text/html",
    "a.mjs": "text/javascript",
    "a.svg": "image/svg+xml",
    "a.wasm": "application/wasm",
    "a.html.gz": "application/gzip",
    "a.unknown": "application/octet-stream",
    "html": "application/octet-stream",
}


def fetch(client, path, method="GET", prefix="", host="localhost", **headers):
    """The answer as it leaves the hub, its coding left alone. `path` is encoded already."""
    request = Request.blank(
        f"/pages/{client.slug}/{path}",
        method=method,
        base_url=f"http://{host}{prefix}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return request.get_response(client.hub.wsgi)


def content_of(response):
    """The body without its coding."""
    coded = response.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(response.body) if coded else response.body


def plain_headers(response):
    return sorted(each for each in response.headerlist if each[0] not in {"X-Request-Id", "Date"})


def answer(response):
    return response.status_int, plain_headers(response), response.body


def stored_stream(archive, name):
    """The bytes of a member as they lie in the archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        info = opened.getinfo(name)
    at = info.header_offset
    start = at + 30 + sum(struct.unpack("<HH", archive[at + 26 : at + 30]))
    return archive[start : start + info.compress_size]


def mixed_archive(path, stored, deflated):
    """An archive with both kinds of members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pages.toml", f'[publish]\npath = "{path}"\n')
        for kind, members in ((zipfile.ZIP_STORED, stored), (zipfile.ZIP_DEFLATED, deflated)):
            for name, content in members.items():
                archive.writestr(name, content, kind)
    return buffer.getvalue()


FILES = {"index.html": "<h1>i</h1>", "d/index.html": "d", "d/e/f.txt": "f", "n/x.txt": "x"}
BOTH = ["stored.txt", "deflated.txt"]
ARCHIVE = mixed_archive("p", {"stored.txt": TEXT}, {"deflated.txt": TEXT, **FILES})


@pytest.fixture(scope="module")
def site(hub):
    """A client whose organisation has the page `p`, of stored and of deflated files."""
    client = hub.organisation()
    client.upload(PAGES, ARCHIVE)
    return client


class TestFolders:
    def test_a_file_may_become_a_folder_and_back(self, acme):
        acme.publish_page("p", {"a": "file"})
        assert fetch(acme, "p/a").text == "file"
        acme.publish_page("p", {"a/index.html": "folder"})
        assert fetch(acme, "p/a").status_int == 308
        acme.send_json("POST", f"{PAGES}/p/rollback", {"publication": 1})
        assert fetch(acme, "p/a").text == "file"

    def test_a_folder_is_its_index(self, site):
        for path, text in (("p/", "<h1>i</h1>"), ("p/d/", "d")):
            response = fetch(site, path)
            assert (response.status_int, response.text) == (200, text)
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert fetch(site, path + "index.html").text == text

    @pytest.mark.parametrize("prefix", ["", "/a/b%20c"])
    def test_without_its_slash_it_is_308_to_where_links_work(self, site, prefix):
        for path in ("p", "p/d"):
            for query in ("", "?a=%20b&c=%2F&d", "?x=//evil.example"):
                for method in ("GET", "HEAD"):
                    response = fetch(site, path + query, method, prefix)
                    assert (response.status_int, response.body) == (308, b"")
                    here = f"http://localhost{prefix}/pages/{site.slug}/{path}"
                    assert urljoin(here, response.headers["Location"]) == f"{here}/{query}"

    def test_names_that_need_it_stay_encoded_in_the_redirect(self, acme):
        names = ["a b", "ü", "50%", "q?", "h#", "a;b", "@@x", "%41", "d"]
        acme.publish_page("p", {f"{name}/index.html": name for name in names})
        for name in names:
            url = "p/" + quote(name, safe="")
            here = f"http://localhost/pages/{acme.slug}/{url}"
            location = urljoin(here, fetch(acme, url).headers["Location"])
            assert location.startswith(f"http://localhost/pages/{acme.slug}/p/")
            again = Request.blank(location).get_response(acme.hub.wsgi)
            assert (again.status_int, again.text) == (200, name)

    def test_what_is_not_there_is_404_and_nothing_is_listed(self, site):
        paths = """
            p/n p/n/ p/d/e p/d/e/ p/none p/none/ p/INDEX.html P/ p/D/ p/Stored.txt p/stored.txt/
            p/stored.txt/x p/index.html/ p// p//index.html p/d//index.html p/d/./ p/./d/ p/d/e/..
            p/n/../ none/ p/pages.toml p/d/e/f.txt/index.html p/index p/index.htm
        """
        for path in ("", *paths.split()):
            response = fetch(site, path)
            assert response.status_int == 404, path
            assert not any(name in response.text for name in ("f.txt", "x.txt", "stored"))
        for url in ("/pages", "/pages/", f"/pages/{site.slug}"):
            assert Request.blank(url).get_response(site.hub.wsgi).status_int == 404

    def test_a_page_within_a_folder_of_pages_does_not_make_the_folder_one(self, acme):
        acme.publish_page("a/b/c")
        for path in ("a", "a/", "a/b", "a/b/"):
            assert fetch(acme, path).status_int == 404
        assert fetch(acme, "a/b/c/").status_int == 200

    def test_a_file_goes_before_a_folder_and_no_top_folder_is_stripped(self, acme):
        acme.publish_page("p", {"a": "file", "b/index.html": "folder", "b.html": "other"})
        assert fetch(acme, "p/a").text == "file"
        assert fetch(acme, "p/b/").text == "folder"
        assert fetch(acme, "p/").status_int == 404


class TestTypes:
    def test_the_ending_tells_the_type(self, acme):
        acme.publish_page("p", dict.fromkeys(TYPES, b"\xff\xfe"))
        for name, kind in TYPES.items():
            for accept in ("gzip", "identity"):
                response = fetch(acme, f"p/{name}", Accept_Encoding=accept)
                assert response.headers["Content-Type"] == kind
                assert content_of(response) == b"\xff\xfe"

    def test_text_is_called_utf8_where_it_is(self, acme):
        acme.publish_page("p", {"a.html": "h\u00e4llo", "b.html": b"h\xe4llo"})
        assert fetch(acme, "p/a.html").headers["Content-Type"] == "text/html; charset=utf-8"
        assert fetch(acme, "p/b.html").headers["Content-Type"] == "text/html"


class TestNames:
    @pytest.mark.backend
    def test_any_name_can_be_asked_for(self, acme):
        names = """
            .hidden .well-known/x.txt a/.b/.c @@x.html ++x++ @@ a+b a"b.txt a'b.txt a%b.txt %41.txt %
            a;b=c.txt a,b a&b=c a#b a?b a[0].txt 日本/語.txt 😀.png a~ a$b! (a)* ^`{|} <b> Straße.txt
            ... ..a favicon.ico robots.txt
        """
        files = {name: name for name in ("a b.txt", "a\u00a0b", "x" * 200, *names.split())}
        acme.publish_page("p", files)
        for name in files:
            for safe in ("/", ""):
                assert fetch(acme, "p/" + quote(name, safe=safe)).body == name.encode(), name

    @pytest.mark.parametrize("stored", ["\u00fc", "u\u0308"], ids=["NFC", "NFD"])
    def test_either_form_of_a_letter_is_the_same_file(self, acme, stored):
        acme.publish_page("p", {f"{stored}.txt": "t", f"{stored}/index.html": "i"})
        for asked in ("\u00fc", "u\u0308"):
            assert fetch(acme, f"p/{quote(asked)}.txt").body == b"t"
            assert fetch(acme, f"p/{quote(asked)}/").body == b"i"

    def test_names_in_utf_8_that_do_not_say_so_are_read_as_that(self, acme):
        """As some programs of macOS and of Unix write them."""
        archive = page_zip("x", {"f_.txt": "found"}).replace(b"f_.txt", "ü.txt".encode())
        acme.upload(PAGES, archive)
        assert acme.visit("x/%C3%BC.txt").text == "found"

    def test_an_address_is_decoded_once(self, acme):
        acme.publish_page("p", {"%41.txt": "percent", "B.txt": "plain"})
        assert fetch(acme, "p/%2541.txt").body == b"percent"
        assert fetch(acme, "p/%42.txt").body == b"plain"
        assert fetch(acme, "p/%2542.txt").status_int == 404
        assert fetch(acme, "p%2FB.txt").body == b"plain"

    def test_no_address_leads_out_or_breaks_the_hub(self, site):
        paths = r"""
            .. ../ ../.. p/.. p/../p/index.html p/../../../../etc/passwd p/%2e%2e/%2e%2e/etc/passwd
            p/..%2f..%2fetc/passwd p/%2e%2e%2fp/index.html p/..%5c..%5cetc%5cpasswd p/\..\index.html
            p/d\index.html p/....//x p/%00 p/index.html%00 p/index.html%00.txt %00 p%00/ p/%0aX:y
            p/%0d%0aSet-Cookie:%20a=b p/%0d%0aX:y/ p/%7f p/%1b p/%c2%85 p/%e2%80%a8 p/%ff %ff %ff/p/
            p/%c0%ae%c0%ae/index.html p/%ed%a0%80 p/%f4%90%80%80 p//etc/passwd //etc/passwd
            p/./index.html p/%2findex.html p/~root p/C:/x p/% p/%zz p/index.html;x p/index.html%20
            p/index.html.
        """
        long = ("a" * 5000, "a/" * 3000, "%F0%9F%98%80" * 900, "\u200bindex.html")
        for path in (*paths.split(), *(f"p/{each}" for each in long)):
            response = fetch(site, quote(path, safe="/%\\;:~."))
            assert 400 <= response.status_int < 500, (path, response.status)
            assert_open_and_sandboxed(response)


def assert_open_and_sandboxed(response):
    policy = response.headers["Content-Security-Policy"]
    words = policy.split(";")[0].split()
    assert words[0] == "sandbox"
    assert {"allow-scripts", "allow-forms", "allow-popups"} <= set(words)
    assert "allow-same-origin" not in policy
    assert "allow-top-navigation" not in words
    assert response.headers.getall("Access-Control-Allow-Origin") == ["*"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    for name in (
        *("Access-Control-Allow-Credentials", "X-Frame-Options", "Cross-Origin-Opener-Policy"),
        "Set-Cookie",
    ):
        assert name not in response.headers


class TestSafety:
    @pytest.mark.parametrize(
        ("status", "path", "method", "headers"),
        [
            (200, "p/", "GET", {}),
            (200, "p/", "HEAD", {}),
            (200, "p/deflated.txt", "GET", {"Accept_Encoding": "gzip"}),
            (206, "p/stored.txt", "GET", {"Range": "bytes=0-1"}),
            (304, "p/stored.txt", "GET", {"If_None_Match": "*"}),
            (308, "p", "GET", {}),
            (400, "p/%ff", "GET", {}),
            (404, "p/none", "GET", {}),
            (404, "", "GET", {}),
            (405, "p/", "POST", {}),
            (405, "none", "PUT", {}),
            (412, "p/stored.txt", "GET", {"If_Match": '"x"'}),
            (416, "p/stored.txt", "GET", {"Range": "bytes=99999-"}),
            (204, "p/", "OPTIONS", {}),
        ],
    )
    def test_every_answer_is_sandboxed_and_open(self, site, status, path, method, headers):
        response = fetch(site, path, method, **headers)
        assert response.status_int == status
        assert_open_and_sandboxed(response)

    def test_so_is_one_of_an_organisation_that_is_not_there(self, site):
        for slug in ("no-such-organisation", "NO", "..", "%00", "%ff", "x" * 3000):
            for method in ("GET", "POST", "OPTIONS"):
                request = Request.blank(f"/pages/{slug}/p/", method=method)
                response = request.get_response(site.hub.wsgi)
                assert response.status_int < 500
                assert_open_and_sandboxed(response)

    def test_scripts_may_ask_first(self, site):
        wish = {
            "Origin": "null",
            "Access_Control_Request_Method": "GET",
            "Access_Control_Request_Headers": "range, x-requested-with",
        }
        for path in ("p/", "p/stored.txt", "p/none", "none/", "p"):
            response = fetch(site, path, "OPTIONS", **wish)
            assert response.status_int == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["Access-Control-Allow-Headers"] == "*"
            assert "Access-Control-Allow-Methods" not in response.headers  # GET is always allowed

    def test_neither_a_credential_nor_an_origin_is_looked_at(self, site, beta):
        keys = ["Api-Key", "Api-Key junk", "Basic eA==", f"Api-Key {site.key}", "\xff"]
        keys += [f"Api-Key {beta.key}", f"Api-Key kpf_00000000_{'x' * 43}"]
        wishes = [{"Authorization": key} for key in keys]
        wishes += [
            {"Cookie": "sessionid=x"},
            {"Origin": "null"},
            {"Origin": "https://evil.example"},
        ]
        for path in ("p/", "p", "p/none", "none/"):
            plain = answer(fetch(site, path))
            for headers in wishes:
                assert answer(fetch(site, path, **headers)) == plain

    def test_what_is_not_there_answers_alike_wherever_it_is_not(self, site, beta):
        beta.publish_page("mine")
        strange = Client(site.hub, "no-such-organisation", "")
        expected = answer(fetch(site, "p/none"))
        assert expected[0] == 404
        for path in ("none/", "none", "mine/"):
            assert answer(fetch(site, path)) == expected
        for path in ("p/", "p", "mine/index.html"):
            assert answer(fetch(strange, path)) == expected

    def test_other_methods_are_405(self, site):
        for method in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND"):
            for path in ("p/", "p", "p/stored.txt", "p/none", "none/"):
                response = fetch(site, path, method, Authorization=f"Api-Key {site.key}")
                assert response.status_int == 405
                allow = {word.strip() for word in response.headers["Allow"].split(",")}
                assert {"GET", "HEAD"} <= allow <= {"GET", "HEAD", "OPTIONS"}
        assert fetch(site, "p/").status_int == 200

    @pytest.mark.backend
    def test_of_two_organisations_each_serves_its_own(self, acme, beta):
        for client in (acme, beta):
            client.publish_page("p", {"index.html": client.slug})
        for client in (acme, beta):
            assert fetch(client, "p/").text == client.slug


class TestHeaders:
    @pytest.mark.parametrize("accept", ["gzip", "identity"])
    def test_head_has_the_headers_of_get_and_the_length_is_that_of_what_is_sent(self, site, accept):
        for path in ("p/", *(f"p/{name}" for name in BOTH), "p", "p/none", "p/d", "none", "p/%ff"):
            get, head = (fetch(site, path, m, Accept_Encoding=accept) for m in ("GET", "HEAD"))
            assert (head.status_int, head.body) == (get.status_int, b"")
            assert plain_headers(head) == plain_headers(get)
            assert get.headers["Content-Length"] == str(len(get.body))

    @pytest.mark.parametrize("name", BOTH)
    def test_a_proxy_may_keep_it_and_must_ask(self, site, name):
        headers = fetch(site, f"p/{name}").headers
        assert "no-cache" in headers["Cache-Control"]
        assert "private" not in headers["Cache-Control"]
        assert parsedate_to_datetime(headers["Last-Modified"]) <= datetime.now(UTC)
        assert headers["ETag"].startswith('"')

    def test_the_same_file_has_the_same_tag_in_the_next_publication(self, acme):
        tags = []
        for index in ("one", "two"):
            acme.publish_page("p", {"index.html": index, "same.txt": "same"})
            tags.append([fetch(acme, f"p/{each}").headers["ETag"] for each in ("", "same.txt")])
        assert tags[0][0] != tags[1][0]
        assert tags[0][1] == tags[1][1]

    def test_an_empty_file_is_fine(self, acme):
        acme.upload(PAGES, mixed_archive("p", {"s.txt": ""}, {"d.txt": ""}))
        for name in ("s.txt", "d.txt"):
            for accept in ("gzip", "identity"):
                response = fetch(acme, f"p/{name}", Accept_Encoding=accept)
                assert (response.status_int, content_of(response)) == (200, b"")
            assert fetch(acme, f"p/{name}", Range="bytes=0-").status_int == 416


class TestCoding:
    def test_a_deflated_file_is_sent_as_it_lies_in_a_frame(self, site):
        for name, content in (("deflated.txt", TEXT), ("index.html", FILES["index.html"])):
            response = fetch(site, f"p/{name}", Accept_Encoding="gzip")
            assert response.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(response.body) == content.encode()
            assert response.body[:3] == b"\x1f\x8b\x08"
            assert response.body[10:-8] == stored_stream(ARCHIVE, name)

    def test_a_stored_one_is_sent_as_it_is(self, site):
        response = fetch(site, "p/stored.txt", Accept_Encoding="gzip")
        assert "Content-Encoding" not in response.headers
        assert response.text == TEXT

    @pytest.mark.parametrize(
        ("accept", "is_coded"),
        [
            (None, False),
            ("identity", False),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
            ("gzip;q=0.001", True),
            ("gzip ; q=1", True),
            ("gzip;q=0.000", False),
            ("gzip; Q=0", False),
            ("notgzip, gzipped, xgzip", False),
            ("identity;q=0, gzip;q=0", False),
            (";;,,=q,\x0b", False),
        ],
    )
    def test_only_who_accepts_gzip_gets_it_and_caches_are_told(self, site, accept, is_coded):
        headers = {} if accept is None else {"Accept_Encoding": accept}
        response = fetch(site, "p/deflated.txt", **headers)
        assert (response.status_int, content_of(response).decode()) == (200, TEXT)
        assert ("Content-Encoding" in response.headers) == is_coded
        for more in ({}, {"If_None_Match": "*"}, {"Range": "bytes=0-1"}):
            vary = fetch(site, "p/deflated.txt", **headers, **more).headers["Vary"]
            assert "accept-encoding" in vary.lower()


def test_archives_of_other_tools_are_served_alike_in_both_codings(acme):
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pages.toml", "[publish]\npath = 'p'")
        with archive.open("a.txt", "w", force_zip64=True) as member:
            member.write(TEXT.encode())
        archive.comment = b"a comment"
    data = page_zip("p", {"a.txt": TEXT})
    for each in (large.getvalue(), b"#!/bin/sh\n" * 9 + data, data + b"\0" * 9):
        acme.upload(PAGES, each)
        assert fetch(acme, "p/a.txt").text == TEXT
        assert content_of(fetch(acme, "p/a.txt", Accept_Encoding="gzip")).decode() == TEXT
        assert fetch(acme, "p/a.txt", Range="bytes=9-12").text == TEXT[9:13]


class TestConditions:
    @pytest.mark.parametrize("path", ["p/stored.txt", "p/deflated.txt", "p/"])
    @pytest.mark.parametrize("accept", ["gzip", "identity"])
    def test_who_has_it_hears_304_and_who_has_another_200(self, site, path, accept):
        whole = fetch(site, path, Accept_Encoding=accept)
        for template in ("{}", "W/{}", '"x", {}', "*"):
            tag = template.format(whole.headers["ETag"])
            for method in ("GET", "HEAD"):
                response = fetch(site, path, method, Accept_Encoding=accept, If_None_Match=tag)
                assert (response.status_int, response.body) == (304, b"")
                for name in ("ETag", "Cache-Control", "Vary"):
                    assert response.headers.get(name) == whole.headers.get(name)
        for tag in ('"x"', "", "x", "W/", '"', ",,,"):
            response = fetch(site, path, Accept_Encoding=accept, If_None_Match=tag)
            assert response.status_int == 200

    @pytest.mark.parametrize("name", BOTH)
    def test_a_date_is_enough_for_304_unless_there_is_a_tag(self, site, name):
        date = fetch(site, f"p/{name}").headers["Last-Modified"]
        response = fetch(site, f"p/{name}", If_Modified_Since=date)
        assert (response.status_int, response.body) == (304, b"")
        both = {"If_None_Match": '"x"', "If_Modified_Since": date}
        assert fetch(site, f"p/{name}", **both).status_int == 200
        earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
        for other in (earlier, "", "x", "2026-11-21", "Sat, 99 Nov 2026 00:00:00 GMT", "9" * 400):
            assert fetch(site, f"p/{name}", If_Modified_Since=other).status_int == 200


class TestRanges:
    @pytest.mark.parametrize("name", BOTH)
    @pytest.mark.parametrize(
        ("wanted", "start", "stop"),
        [
            ("bytes=0-99", 0, 100),
            ("bytes=1000-1999", 1000, 2000),
            ("bytes=-7", len(TEXT) - 7, len(TEXT)),
            (f"bytes={len(TEXT) - 1}-", len(TEXT) - 1, len(TEXT)),
        ],
    )
    def test_a_part_is_206_of_the_content_in_no_coding(self, site, name, wanted, start, stop):
        whole = fetch(site, f"p/{name}")
        for accept in ("identity", "gzip"):
            response = fetch(site, f"p/{name}", Range=wanted, Accept_Encoding=accept)
            assert response.status_int == 206
            assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(TEXT)}"
            assert response.headers["Content-Length"] == str(stop - start)
            assert response.text == TEXT[start:stop]
            assert "Content-Encoding" not in response.headers
            for header in ("ETag", "Content-Type", "Last-Modified"):
                assert response.headers[header] == whole.headers[header]

    @pytest.mark.parametrize("name", BOTH)
    def test_a_part_that_is_not_there_is_416_and_what_is_no_range_gets_all_of_it(self, site, name):
        for wanted in (f"bytes={len(TEXT)}-", "bytes=-0"):
            response = fetch(site, f"p/{name}", Range=wanted)
            assert response.status_int == 416
            assert response.headers["Content-Range"] == f"bytes */{len(TEXT)}"
        for wanted in ("", "bytes=9-2", "lines=0-1", "bytes=0-1,5-6,-2"):
            response = fetch(site, f"p/{name}", Range=wanted)
            assert (response.status_int, response.text) == (200, TEXT)

    @pytest.mark.parametrize("name", BOTH)
    def test_if_range_decides_between_the_part_and_the_whole(self, site, name):
        tag = fetch(site, f"p/{name}").headers["ETag"]
        packed = fetch(site, f"p/{name}", Accept_Encoding="gzip").headers["ETag"]
        assert (packed == tag) == (name == "stored.txt")
        for condition in (
            tag,
            packed,
            '"x"',
            f"W/{tag}",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "junk",
            "",
        ):
            response = fetch(site, f"p/{name}", Range="bytes=1-2", If_Range=condition)
            assert response.status_int == (206 if condition == tag else 200)

    @pytest.mark.backend
    def test_a_large_file_is_sent_in_any_part(self, acme):
        content = bytes(range(256)) * 4096
        acme.upload(PAGES, mixed_archive("p", {"s.bin": content}, {"d.bin": content}))
        for name in ("s.bin", "d.bin"):
            assert fetch(acme, f"p/{name}").body == content
            part = fetch(acme, f"p/{name}", Range="bytes=700000-900000")
            assert part.body == content[700000:900001]
            assert content_of(fetch(acme, f"p/{name}", Accept_Encoding="gzip")) == content


@pytest.fixture(scope="module")
def clocked(tmp_path_factory):
    """A hub whose clock tests may set."""
    hub = Hub.below(tmp_path_factory.mktemp("clocked"))
    yield hub
    hub.registry.database.close()


@pytest.fixture
def frozen(clocked):
    """A client of a hub whose clock stands still until it is set."""
    client = clocked.organisation()
    set_clock(client, 0)
    return client


def set_clock(client, second):
    instant = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=second)
    client.hub.registry.clock = lambda: instant


def roll_back(client):
    client.send_json("POST", f"{PAGES}/p/rollback", {"publication": 1})


SWAPS = {
    "republish": lambda client: client.publish_page("p", {"a.txt": "new"}),
    "roll back": roll_back,
    "unpublish and publish": lambda client: (
        client.delete(f"{PAGES}/p"),
        client.publish_page("p", {"a.txt": "new"}),
    ),
    "unpublish and roll back": lambda client: (client.delete(f"{PAGES}/p"), roll_back(client)),
}


class TestDates:
    """A date has whole seconds, and yet never says that other content is the same: D34."""

    @pytest.mark.backend
    @pytest.mark.parametrize("how", SWAPS)
    def test_after_a_swap_a_date_of_before_is_never_304(self, clocked, how):
        for gap in (0, 0.3, 1, 5):
            client = clocked.organisation()
            set_clock(client, 0)
            client.publish_page("p", {"a.txt": "first"})
            set_clock(client, 100.2)
            client.publish_page("p", {"a.txt": "old"})
            dates = set()
            for second in (100.2, 100.5):
                set_clock(client, second)
                dates |= {fetch(client, "p/a.txt").headers.get("Last-Modified")} - {None}
            assert dates
            set_clock(client, 100.5 + gap)
            SWAPS[how](client)
            for later in (0, 0.4, 1, 10):
                set_clock(client, 100.5 + gap + later)
                for date in dates:
                    assert fetch(client, "p/a.txt", If_Modified_Since=date).status_int == 200
                now = fetch(client, "p/a.txt").headers.get("Last-Modified")
                assert now is None or now not in dates

    def test_if_range_with_a_date_of_before_gets_all_of_the_new(self, frozen):
        frozen.publish_page("p", {"a.txt": "old content"})
        set_clock(frozen, 30)
        date = fetch(frozen, "p/a.txt").headers["Last-Modified"]
        assert fetch(frozen, "p/a.txt", Range="bytes=0-2", If_Range=date).status_int == 206
        frozen.publish_page("p", {"a.txt": "new content"})
        response = fetch(frozen, "p/a.txt", Range="bytes=0-2", If_Range=date)
        assert (response.status_int, response.text) == (200, "new content")

    def test_ten_swaps_within_a_second_are_ten_states_and_none_is_in_the_future(self, frozen):
        seen = set()
        for number in range(10):
            frozen.publish_page("p", {"a.txt": str(number)})
            for date in seen:
                response = fetch(frozen, "p/a.txt", If_Modified_Since=date)
                assert (response.status_int, response.text) == (200, str(number))
            if date := fetch(frozen, "p/a.txt").headers.get("Last-Modified"):
                assert parsedate_to_datetime(date) <= frozen.hub.registry.clock()
                seen.add(date)
        set_clock(frozen, 60)
        date = fetch(frozen, "p/a.txt").headers["Last-Modified"]
        assert fetch(frozen, "p/a.txt", If_Modified_Since=date).status_int == 304

    @pytest.mark.parametrize("pages", [("a", "a/b"), ("a/b", "a")])
    def test_another_page_at_the_same_address_is_another_state(self, frozen, pages):
        files = {"a": "b/f.txt", "a/b": "f.txt"}
        frozen.publish_page(pages[0], {files[pages[0]]: "old"})
        date = fetch(frozen, "a/b/f.txt").headers.get("Last-Modified")
        frozen.delete(f"{PAGES}/{pages[0]}")
        frozen.publish_page(pages[1], {files[pages[1]]: "new"})
        for second in (0, 1, 5):
            set_clock(frozen, second)
            headers = {} if date is None else {"If_Modified_Since": date}
            response = fetch(frozen, "a/b/f.txt", **headers)
            assert (response.status_int, response.text) == (200, "new")


class TestNotFoundPage:
    @pytest.fixture
    def lost(self, acme):
        acme.publish_page(
            "p", {"index.html": "i", "404.html": "<h1>lost</h1>", "d/404.html": "deep", "d/x": "x"}
        )
        return acme

    def test_a_page_may_bring_its_own(self, lost):
        for path in ("p/none", "p/none/", "p/d/", "p/d", "p/d/none", "p/d/x/y"):
            for accept in ("identity", "gzip"):
                response = fetch(lost, path, Accept_Encoding=accept)
                assert (response.status_int, content_of(response)) == (404, b"<h1>lost</h1>")
                assert response.headers["Content-Type"] == "text/html; charset=utf-8"
                assert "no-cache" in response.headers["Cache-Control"]
                assert_open_and_sandboxed(response)
        assert fetch(lost, "p/404.html").status_int == 200
        for path in ("none", "none/x", ""):
            assert "lost" not in fetch(lost, path).text

    def test_no_condition_makes_it_anything_else(self, lost):
        tag = fetch(lost, "p/404.html").headers["ETag"]
        for headers in (
            {"If_None_Match": "*"},
            {"If_None_Match": tag},
            {"If_Modified_Since": "Fri, 01 Jan 2038 00:00:00 GMT"},
            {"Range": "bytes=0-1"},
            {"If_Match": '"x"'},
        ):
            response = fetch(lost, "p/none", **headers)
            assert (response.status_int, response.text) == (404, "<h1>lost</h1>")


class TestCost:
    def cost(self, client, path, **headers):
        client.hub.organisation()  # a commit: nothing that was read before is read from memory
        with statements(client.hub) as seen:
            fetch(client, path, **headers)
        return len(seen)

    @pytest.mark.backend
    def test_a_visit_takes_one_statement_however_many_pages_and_files_there_are(self, site, acme):
        for path in ("p/", "p", *(f"p/{name}" for name in BOTH), "p/d/", "p/none", "none/"):
            assert self.cost(site, path) == 1, path
        for number in range(5):
            acme.publish_page(f"a/b/c/{number}", {"index.html": "i"})
        files = {f"d/{number}.txt": "x" for number in range(100)}
        acme.publish_page("a/b/d/e/f/g/h/8", {**files, "404.html": "n"})
        for path in ("d/7.txt", "d/none", "", "d"):
            assert self.cost(acme, f"a/b/d/e/f/g/h/8/{path}") == 1, path

    @pytest.mark.backend
    def test_only_what_is_asked_for_is_read_from_the_store(self, acme, monkeypatch):
        files = {"big.bin": bytes(2_000_000), "small.txt": "small"}
        data = make_zip({"pages.toml": "[publish]\npath = 'p'", **files}, zipfile.ZIP_STORED)
        acme.upload(PAGES, data)
        store = acme.hub.registry.stores.main
        asked = []
        plain = type(store).open

        def noting(self, key, start=0, length=None):
            asked.append(length)
            return plain(self, key, start, length)

        monkeypatch.setattr(type(store), "open", noting)
        assert fetch(acme, "p/small.txt").text == "small"
        assert len(asked) == 1
        assert asked[0] is not None
        assert asked[0] < 1000

    def test_a_range_that_begins_far_behind_in_a_deflated_file_is_answered_with_all_of_it(
        self, acme
    ):
        """To get there, all before it would be inflated: much work for a few bytes."""
        size = FARTHEST + 2
        content = (random.Random(1).randbytes(20_000) * (size // 20_000 + 1))[:size]
        acme.publish_page("far", {"large.bin": content})
        near = acme.visit("far/large.bin", 206, Range=f"bytes={FARTHEST}-")
        assert near.body == content[FARTHEST:]
        assert near.headers["Content-Range"] == f"bytes {FARTHEST}-{size - 1}/{size}"
        for far in (f"bytes={FARTHEST + 1}-", "bytes=-1"):
            assert acme.visit("far/large.bin", 200, Range=far).body == content

    @pytest.mark.backend
    def test_addresses_of_nothing_are_not_remembered_at_any_length(self, acme):
        """A stranger can think of as many as they like."""
        acme.publish_page("x")
        with statements(acme.hub) as seen:
            for _ in range(2):
                acme.visit("x/short", 404)
                acme.visit("x/" + "long/" * 200, 404)
        # On SQLite the short one is asked for once, on PostgreSQL nothing is remembered anyhow.
        assert len(seen) == (3 if acme.hub.is_on_sqlite else 4)

    def test_where_no_page_can_be_nothing_is_asked(self, acme):
        with statements(acme.hub) as seen:
            acme.visit("Not/a/page", 404)
            acme.visit("%C3%BC/", 404)
            for accents in (31, 5_000):  # their normal form would take long to find
                acme.visit(f"p/{quote(chr(0x301) + chr(0x323)) * accents}", 404)
        assert seen == []


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A client of a hub that has another host for pages."""
    hub = Hub.below(tmp_path_factory.mktemp("hosts"), pages_host="pages.example.net:8443")
    client = hub.organisation()
    client.publish_page("p", {"index.html": "i"})
    yield client
    hub.registry.database.close()


class TestHostOfTheirOwn:
    def test_pages_are_served_there_without_a_sandbox(self, apart):
        for host in ("Pages.Example.Net", "pages.example.net:80", "pages.example.net."):
            response = fetch(apart, "p/", host=host)
            assert (response.status_int, response.text) == (200, "i")
            assert "sandbox" not in response.headers.get("Content-Security-Policy", "")
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["X-Content-Type-Options"] == "nosniff"

    def test_on_the_hub_s_own_host_nothing_of_them_is_served(self, apart):
        for host in ("localhost", "pages.example.net.evil.example"):
            for path in ("p/", "p/none", "p", "none/"):
                for method in ("GET", "HEAD"):
                    headers = {"X_Forwarded_Host": "pages.example.net"}
                    response = fetch(apart, f"{path}?q=1", method, "/workshop", host, **headers)
                    target = f"http://pages.example.net:8443/workshop/pages/{apart.slug}/{path}?q=1"
                    assert (response.status_int, response.body) == (308, b"")
                    assert response.headers["Location"] == target
