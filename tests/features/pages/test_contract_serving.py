"""What visitors get: section 11, "Serving", with D15, D25, D33, D34."""

import gzip
import io
import random
import struct
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from time import process_time
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
    "text/html": ["html", "htm", "HTML", "Htm"],
    "text/css": ["css"],
    "text/javascript": ["js", "mjs", "MJS"],
    "application/json": ["json"],
    "text/plain": ["txt", "TXT"],
    "text/markdown": ["md"],
    "image/svg+xml": ["svg"],
    "image/png": ["png"],
    "image/jpeg": ["jpg", "JPG"],
    "image/gif": ["gif"],
    "image/webp": ["webp"],
    "image/vnd.microsoft.icon": ["ico"],
    "application/pdf": ["pdf"],
    "application/wasm": ["wasm"],
    "application/xml": ["xml"],
    "font/woff2": ["woff2"],
    "video/mp4": ["mp4"],
    "application/manifest+json": ["webmanifest"],
    "application/gzip": ["gz", "html.gz", "svg.GZ", "tar.gz"],
    "application/octet-stream": ["", "unknown", "html.", "html~", "php", "exe"],
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


def plain_headers(response):
    return sorted(each for each in response.headerlist if each[0] not in {"X-Request-Id", "Date"})


def answer(response):
    return response.status_int, plain_headers(response), response.body


def stored_stream(archive, name):
    """The bytes of a member as they lie in the archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        info = opened.getinfo(name)
    at = info.header_offset
    lengths = struct.unpack("<HH", archive[at + 26 : at + 30])
    start = at + 30 + sum(lengths)
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
BOTH = {"stored.txt": TEXT, "deflated.txt": TEXT}
ARCHIVE = mixed_archive("p", {"stored.txt": TEXT}, {"deflated.txt": TEXT, **FILES})


@pytest.fixture(scope="module")
def site(hub):
    """A client whose organisation has the page `p`, of stored and of deflated files."""
    client = hub.organisation()
    client.upload(PAGES, ARCHIVE)
    return client


class TestFolders:
    @pytest.mark.parametrize(("path", "text"), [("p/", "<h1>i</h1>"), ("p/d/", "d")])
    def test_a_folder_is_its_index(self, site, path, text):
        response = fetch(site, path)
        assert (response.status_int, response.text) == (200, text)
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert fetch(site, path + "index.html").text == text

    @pytest.mark.parametrize("path", ["p", "p/d"])
    @pytest.mark.parametrize("query", ["", "?q=1", "?a=%20b&c=%2F&d", "?x=//evil.example"])
    @pytest.mark.parametrize("prefix", ["", "/workshop", "/a/b%20c"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_without_its_slash_it_is_308_to_where_links_work(
        self, site, path, query, prefix, method
    ):
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

    @pytest.mark.parametrize(
        "path",
        [
            *("p/n", "p/n/", "p/d/e", "p/d/e/", "p/none", "p/none/", "p/INDEX.html", "P/"),
            *("p/D/", "p/stored.txt/", "p/stored.txt/x", "p/index.html/", "p//", "p//index.html"),
            *(
                "p/d//index.html",
                "p/d/./",
                "p/./d/",
                "p/d/e/..",
                "p/n/../",
                "none/",
                "",
                "p/pages.toml",
            ),
            *("p/d/e/f.txt/index.html", "p/index", "p/index.htm", "p/d/index.html/index.html"),
        ],
    )
    def test_what_is_not_there_is_404_and_nothing_is_listed(self, site, path):
        for method in ("GET", "HEAD"):
            response = fetch(site, path, method)
            assert response.status_int == 404
            assert not any(name in response.text for name in ("f.txt", "x.txt", "stored"))

    @pytest.mark.parametrize("url", ["/pages", "/pages/", "/pages/{}", "/pages/{}/"])
    def test_above_the_pages_there_is_nothing(self, site, url):
        response = Request.blank(url.format(site.slug)).get_response(site.hub.wsgi)
        assert response.status_int == 404

    def test_a_page_within_a_folder_of_pages_does_not_make_the_folder_one(self, acme):
        acme.publish_page("a/b/c")
        for path in ("a", "a/", "a/b", "a/b/"):
            assert fetch(acme, path).status_int == 404
        assert fetch(acme, "a/b/c/").status_int == 200

    def test_a_file_goes_before_a_folder_of_no_page(self, acme):
        acme.publish_page("p", {"a": "file", "b/index.html": "folder", "b.html": "other"})
        assert fetch(acme, "p/a").text == "file"
        assert fetch(acme, "p/b/").text == "folder"


class TestTypes:
    def test_the_ending_tells_the_type(self, acme):
        files = {
            f"f{number}.{ending}": b"\xff\xfe"
            for number, ending in enumerate(each for some in TYPES.values() for each in some)
        }
        acme.publish_page("p", files)
        expected = [kind for kind, some in TYPES.items() for _ in some]
        responses = [fetch(acme, f"p/{quote(name)}") for name in files]
        assert [each.headers["Content-Type"] for each in responses] == expected
        assert not any("Content-Encoding" in each.headers for each in responses)

    def test_names_without_an_ending_are_bytes(self, acme):
        acme.publish_page("p", dict.fromkeys(["html", ".html", "d.html/x", "a."], b"\xff"))
        for name in ("html", "d.html/x", "a."):
            assert fetch(acme, f"p/{name}").headers["Content-Type"] == "application/octet-stream"

    @pytest.mark.parametrize(
        ("content", "charset"),
        [
            (b"", True),
            (b"ascii", True),
            ("h\u00e4llo \u65e5\u672c \U0001f600".encode(), True),
            ("\ufeffbom".encode(), True),
            (b"h\xe4llo", False),
            ("hallo".encode("utf-16"), False),
            (b"x" * 70_000 + b"\xc3", False),
            (b"\xed\xa0\x80", False),
        ],
    )
    def test_text_is_called_utf8_where_it_is(self, acme, content, charset):
        acme.publish_page("p", {"a.html": content, "a.js": content, "a.txt": content})
        suffix = "; charset=utf-8" if charset else ""
        for name, kind in (("a.html", "html"), ("a.js", "javascript"), ("a.txt", "plain")):
            response = fetch(acme, f"p/{name}")
            assert response.headers["Content-Type"] == f"text/{kind}{suffix}"
            assert response.body == content

    def test_a_gz_file_is_sent_as_it_is(self, acme):
        packed = gzip.compress(b"<h1>x</h1>")
        acme.publish_page("p", {"x.html.gz": packed})
        for accept in ("gzip", "identity"):
            response = fetch(acme, "p/x.html.gz", Accept_Encoding=accept)
            body = response.body
            if response.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert body == packed


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            *(
                ".hidden",
                ".well-known/x.txt",
                "a/.b/.c",
                "@@x.html",
                "++x++",
                "@@",
                "a b.txt",
                "a+b",
            ),
            *('a"b.txt', "a'b.txt", "a%b.txt", "%41.txt", "%", "a;b=c.txt", "a,b", "a&b=c", "a:b"),
            *(
                "a#b",
                "a?b",
                "a[0].txt",
                "日本/語.txt",
                "😀.png",
                "a~",
                "a$b!",
                "(a)*",
                "^`{|}",
                "<b>",
            ),
            *("a\u00a0b", "Straße.txt", "x" * 200, "...", "..a", "favicon.ico", "robots.txt"),
        ],
        ids=ascii,
    )
    def test_any_name_can_be_asked_for(self, acme, name):
        response = acme.upload(PAGES, page_zip("p", {name: "content"}), status="*")
        if response.status_int == 422:  # not every name can be had everywhere, but then it is told
            assert name == "a:b"
            return
        assert fetch(acme, "p/" + quote(name)).body == b"content"
        assert fetch(acme, "p/" + quote(name, safe="")).body == b"content"

    @pytest.mark.parametrize("stored", ["\u00fc", "u\u0308"], ids=["NFC", "NFD"])
    @pytest.mark.parametrize("asked", ["\u00fc", "u\u0308"], ids=["NFC", "NFD"])
    def test_either_form_of_a_letter_is_the_same_file(self, acme, stored, asked):
        acme.publish_page("p", {f"{stored}.txt": "t", f"{stored}/index.html": "i"})
        assert fetch(acme, f"p/{quote(asked)}.txt").body == b"t"
        assert fetch(acme, f"p/{quote(asked)}/").body == b"i"

    def test_case_tells_files_apart(self, site):
        assert fetch(site, "p/Stored.txt").status_int == 404
        assert fetch(site, "p/stored.TXT").status_int == 404

    def test_it_is_decoded_once(self, acme):
        acme.publish_page("p", {"%41.txt": "percent", "B.txt": "plain"})
        assert fetch(acme, "p/%2541.txt").body == b"percent"
        assert fetch(acme, "p/%42.txt").body == b"plain"
        assert fetch(acme, "p/%2542.txt").status_int == 404
        assert fetch(acme, "p%2FB.txt").body == b"plain"

    @pytest.mark.parametrize(
        "path",
        [
            *("..", "../", "../..", "p/..", "p/../p/index.html", "p/../../../../etc/passwd"),
            *("p/%2e%2e/%2e%2e/etc/passwd", "p/..%2f..%2fetc/passwd", "p/%2e%2e%2fp/index.html"),
            *("p/..%5c..%5cetc%5cpasswd", "p/\\..\\index.html", "p/d\\index.html", "p/....//x"),
            *("p/%00", "p/index.html%00", "p/index.html%00.txt", "%00", "p%00/", "p/%0aX: y"),
            *(
                "p/%0d%0aSet-Cookie:%20a=b",
                "p/%0d%0aX:y/",
                "p/%7f",
                "p/%1b",
                "p/%c2%85",
                "p/%e2%80%a8",
            ),
            *(
                "p/%ff",
                "%ff",
                "%ff/p/",
                "p/%c0%ae%c0%ae/index.html",
                "p/%ed%a0%80",
                "p/%f4%90%80%80",
            ),
            *("p//etc/passwd", "//etc/passwd", "p/./index.html", "p/%2findex.html", "p/~root"),
            *("p/" + "a" * 5000, "p/" + "a/" * 3000, "p/" + "%F0%9F%98%80" * 900, "p/C:/x", "p/%"),
            *("p/%zz", "p/index.html;x", "p/index.html%20", "p/index.html.", "p/\u200bindex.html"),
        ],
        ids=lambda path: ascii(path)[:60],
    )
    def test_no_address_leads_out_or_breaks_the_hub(self, site, path):
        for method in ("GET", "HEAD"):
            response = fetch(site, quote(path, safe="/%\\;:~."), method)
            assert 400 <= response.status_int < 500, response.status
            assert "Set-Cookie" not in response.headers
            assert_open_and_sandboxed(response)


def assert_open_and_sandboxed(response):
    policy = response.headers["Content-Security-Policy"]
    words = policy.split(";")[0].split()
    assert words[0] == "sandbox"
    assert {"allow-scripts", "allow-forms", "allow-popups"} <= set(words)
    assert "allow-same-origin" not in policy
    assert "allow-top-navigation" not in words
    assert response.headers.getall("Access-Control-Allow-Origin") == ["*"]
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Frame-Options" not in response.headers
    assert "Cross-Origin-Opener-Policy" not in response.headers
    assert "Set-Cookie" not in response.headers


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
            (404, "none/", "GET", {}),
            (404, "", "GET", {}),
            (404, "p/none", "HEAD", {}),
            (405, "p/", "POST", {}),
            (405, "p/none", "DELETE", {}),
            (405, "none", "PUT", {}),
            (412, "p/stored.txt", "GET", {"If_Match": '"x"'}),
            (416, "p/stored.txt", "GET", {"Range": "bytes=99999-"}),
            (200, "p/", "OPTIONS", {}),
        ],
    )
    def test_every_answer_is_sandboxed_and_open(self, site, status, path, method, headers):
        response = fetch(site, path, method, **headers)
        assert response.status_int in {400: {400, 404}, 200: {200, 204}}.get(status, {status})
        assert_open_and_sandboxed(response)

    @pytest.mark.parametrize("slug", ["no-such-organisation", "NO", "..", "%00", "%ff", "x" * 3000])
    def test_so_is_one_of_an_organisation_that_is_not_there(self, site, slug):
        for method in ("GET", "POST", "OPTIONS"):
            response = Request.blank(f"/pages/{slug}/p/", method=method).get_response(site.hub.wsgi)
            assert response.status_int < 500
            assert_open_and_sandboxed(response)

    @pytest.mark.parametrize("path", ["p/", "p/stored.txt", "p/none", "none/", "p"])
    @pytest.mark.parametrize("wanted", ["GET", "HEAD"])
    def test_scripts_may_ask_first(self, site, path, wanted):
        response = fetch(
            site,
            path,
            "OPTIONS",
            Origin="null",
            Access_Control_Request_Method=wanted,
            Access_Control_Request_Headers="range, x-requested-with",
        )
        assert response.status_int in {200, 204}
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        methods = response.headers.get("Access-Control-Allow-Methods", "GET")  # always allowed
        assert set(methods.replace(" ", "").split(",")) <= {"GET", "HEAD", "OPTIONS"}
        allowed = response.headers["Access-Control-Allow-Headers"].lower()
        assert allowed == "*" or {"range", "x-requested-with"} <= set(
            allowed.replace(" ", "").split(",")
        )

    def test_an_origin_makes_no_difference(self, site):
        answers = [
            answer(fetch(site, "p/", **headers))
            for headers in ({}, {"Origin": "null"}, {"Origin": "https://evil.example"})
        ]
        assert answers[0] == answers[1] == answers[2]

    def test_no_credential_is_looked_at(self, site, beta):
        keys = ["Api-Key", "Api-Key junk", "Basic eA==", f"Api-Key {site.key}", "\xff"]
        keys += [f"Api-Key {beta.key}", f"Api-Key kpf_00000000_{'x' * 43}"]
        for path in ("p/", "p", "p/none", "none/"):
            plain = answer(fetch(site, path))
            for key in keys:
                assert answer(fetch(site, path, Authorization=key)) == plain
            assert answer(fetch(site, path, Cookie="sessionid=x; csrftoken=y")) == plain

    def test_what_is_not_there_answers_alike_wherever_it_is_not(self, site, beta):
        beta.publish_page("mine")
        strange = Client(site.hub, "no-such-organisation", "")
        answers = [
            answer(fetch(client, path))
            for client, path in [
                (site, "p/none"),
                (site, "none/"),
                (site, "none"),
                (site, "mine/"),
                (strange, "p/"),
                (strange, "p"),
                (strange, "mine/index.html"),
            ]
        ]
        assert all(each == answers[0] for each in answers)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"])
    @pytest.mark.parametrize("path", ["p/", "p", "p/stored.txt", "p/none", "none/"])
    def test_other_methods_are_405(self, site, method, path):
        response = fetch(site, path, method, Authorization=f"Api-Key {site.key}")
        assert response.status_int == 405
        allow = {word.strip() for word in response.headers["Allow"].split(",")}
        assert {"GET", "HEAD"} <= allow <= {"GET", "HEAD", "OPTIONS"}
        assert fetch(site, "p/").status_int == 200

    @pytest.mark.parametrize("accents", [31, 60_000])
    def test_accents_without_end_are_in_no_name(self, site, accents):
        path = f"p/{quote(chr(0x301) + chr(0x323)) * accents}"
        before = process_time()
        assert fetch(site, path).status_int == 404
        assert process_time() - before < 2

    @pytest.mark.parametrize("name", ["pages.toml", "PAGES.TOML", "_redirects", "_headers"])
    def test_what_is_said_to_the_hub_is_not_served(self, acme, name):
        rules = {"_redirects": "/a /b\n", "_headers": "/x\n  X-Y: z\n"}
        acme.publish_page("p", {"index.html": "i", "d/_headers": "d", "d/_redirects": "d", **rules})
        assert fetch(acme, f"p/{name}").status_int == 404
        for deep in ("_headers", "_redirects"):
            assert fetch(acme, f"p/d/{deep}").text == "d"

    def test_of_two_organisations_each_serves_its_own(self, acme, beta):
        for client in (acme, beta):
            client.publish_page("p", {"index.html": client.slug})
        for client in (acme, beta):
            assert fetch(client, "p/").text == client.slug


class TestHeaders:
    @pytest.mark.parametrize(
        "path",
        ["p/", "p/stored.txt", "p/deflated.txt", "p", "p/none", "p/d", "p/d/", "none", "p/%ff"],
    )
    @pytest.mark.parametrize("accept", ["gzip", "identity"])
    def test_head_has_the_headers_of_get(self, site, path, accept):
        get, head = (fetch(site, path, each, Accept_Encoding=accept) for each in ("GET", "HEAD"))
        assert (head.status_int, head.body) == (get.status_int, b"")
        assert plain_headers(head) == plain_headers(get)

    @pytest.mark.parametrize("name", BOTH)
    @pytest.mark.parametrize("accept", ["gzip", "identity"])
    def test_the_length_is_that_of_what_is_sent(self, site, name, accept):
        response = fetch(site, f"p/{name}", Accept_Encoding=accept)
        assert response.headers["Content-Length"] == str(len(response.body))

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
                assert response.status_int == 200
                body = response.body
                coded = response.headers.get("Content-Encoding") == "gzip"
                assert (gzip.decompress(body) if coded else body) == b""
            assert fetch(acme, f"p/{name}", Range="bytes=0-").status_int in {200, 416}


class TestCoding:
    @pytest.mark.parametrize("name", ["deflated.txt", "index.html"])
    def test_a_deflated_file_is_sent_as_it_lies_in_a_frame(self, site, name):
        content = {**BOTH, **FILES}[name].encode()
        response = fetch(site, f"p/{name}", Accept_Encoding="gzip")
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(response.body) == content
        assert response.body[:3] == b"\x1f\x8b\x08"
        assert response.body[10:-8] == stored_stream(ARCHIVE, name)

    def test_a_stored_one_is_sent_as_it_is(self, site):
        response = fetch(site, "p/stored.txt", Accept_Encoding="gzip")
        assert "Content-Encoding" not in response.headers
        assert response.text == TEXT

    @pytest.mark.parametrize(
        ("accept", "codings"),
        [
            (None, {""}),
            ("", {""}),
            ("identity", {""}),
            ("br, deflate", {""}),
            ("gzip", {"gzip"}),
            ("GZip", {"gzip"}),
            ("gzip, deflate, br, zstd", {"gzip"}),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", {"gzip"}),
            ("gzip;q=0.001", {"gzip"}),
            ("gzip;q=0.1, identity;q=1", {""}),
            ("gzip;q=1, identity;q=0.5", {"gzip"}),
            ("gzip ; q=1", {"gzip"}),
            ("deflate,gzip", {"gzip"}),
            ("gzip;q=0", {""}),
            ("gzip;q=0.000", {""}),
            ("gzip; Q=0", {""}),
            ("gzip;q=0, *", {""}),
            ("gzip;q=0, x-gzip;q=0, *;q=1", {""}),
            ("*;q=0", {"", "gzip"}),
            ("*", {"", "gzip"}),
            ("x-gzip", {"", "gzip"}),
            ("identity;q=0", {"", "gzip"}),
            ("identity;q=0, gzip", {"gzip"}),
            ("identity;q=0, gzip;q=0", {""}),
            ("gzip;q=x", {"", "gzip"}),
            ("gzip;q=", {"", "gzip"}),
            ("notgzip, gzipped, xgzip", {""}),
            (";;,,=q,\x0b", {""}),
            ("\xff", {""}),
            ("gzip," * 2000, {"", "gzip"}),
        ],
    )
    def test_only_who_accepts_gzip_gets_it(self, site, accept, codings):
        headers = {} if accept is None else {"Accept_Encoding": accept}
        response = fetch(site, "p/deflated.txt", **headers)
        assert response.status_int in {200, 406}
        coding = response.headers.get("Content-Encoding", "")
        assert coding in codings
        if response.status_int == 200:
            body = gzip.decompress(response.body) if coding else response.body
            assert body.decode() == TEXT

    @pytest.mark.parametrize("headers", [{}, {"If_None_Match": "*"}, {"Range": "bytes=0-1"}])
    @pytest.mark.parametrize("accept", ["gzip", "identity"])
    def test_caches_are_told_that_it_varies(self, site, headers, accept):
        response = fetch(site, "p/deflated.txt", Accept_Encoding=accept, **headers)
        assert "accept-encoding" in response.headers["Vary"].lower()

    def test_each_coding_has_its_own_tag(self, site):
        tags = [
            fetch(site, "p/deflated.txt", Accept_Encoding=accept).headers["ETag"]
            for accept in ("gzip", "identity")
        ]
        assert tags[0] != tags[1]


def deflated(content, ending=zlib.Z_FINISH):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush(ending)


def with_stream(stream, content):
    """An archive whose `a.txt` is this deflate stream, and is said to be of this content."""
    data = bytearray(make_zip({"pages.toml": "[publish]\npath = 'p'", "a.txt": stream}, 0))
    directory = data.index(b"PK\1\2")
    for start, method, crc in ((data.rindex(b"PK\3\4", 0, directory), 8, 14), (None, 10, 16)):
        base = data.rindex(b"PK\1\2") if start is None else start
        data[base + method : base + method + 2] = struct.pack("<H", zipfile.ZIP_DEFLATED)
        data[base + crc : base + crc + 4] = struct.pack("<I", zlib.crc32(content))
        data[base + crc + 8 : base + crc + 12] = struct.pack("<I", len(content))
    return bytes(data)


class Pipe(io.RawIOBase):
    """Where an archive is written that nobody can go back in."""

    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def seekable(self):
        return False

    def write(self, piece):
        self.data += bytes(piece)
        return len(piece)


def streamed(kind):
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", kind) as archive:
        archive.writestr("pages.toml", "[publish]\npath = 'p'")
        archive.writestr("a.txt", TEXT)
    return pipe.data


def large_format():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pages.toml", "[publish]\npath = 'p'")
        with archive.open("a.txt", "w", force_zip64=True) as member:
            member.write(TEXT.encode())
        archive.comment = b"a comment"
    return buffer.getvalue()


class TestArchivesOfOtherTools:
    @pytest.mark.parametrize(
        "data",
        [
            with_stream(deflated(TEXT.encode()), TEXT.encode()),
            streamed(zipfile.ZIP_STORED),
            streamed(zipfile.ZIP_DEFLATED),
            large_format(),
            b"#!/bin/sh\n" * 9 + page_zip("p", {"a.txt": TEXT}),
            page_zip("p", {"a.txt": TEXT}) + b"\0" * 9,
        ],
        ids=["crafted", "streamed", "streamed deflated", "zip64", "prefix", "suffix"],
    )
    def test_their_files_are_served_alike_in_both_codings(self, acme, data):
        acme.upload(PAGES, data)
        plain = fetch(acme, "p/a.txt")
        packed = fetch(acme, "p/a.txt", Accept_Encoding="gzip")
        coded = packed.headers.get("Content-Encoding") == "gzip"
        assert plain.text == TEXT
        assert (gzip.decompress(packed.body) if coded else packed.body) == plain.body
        assert fetch(acme, "p/a.txt", Range="bytes=9-12").text == TEXT[9:13]

    @pytest.mark.parametrize(
        "stream",
        [
            deflated(TEXT.encode()) + b"junk",
            deflated(TEXT.encode()) * 2,
            deflated(TEXT.encode(), zlib.Z_SYNC_FLUSH),
            deflated(TEXT.encode())[:-3],
            deflated(TEXT.encode() + b"more"),
            zlib.compress(TEXT.encode()),
            b"",
        ],
        ids=["junk", "two", "unfinished", "cut", "longer", "zlib", "none"],
    )
    def test_a_stream_that_readers_of_gzip_would_refuse_is_refused(self, acme, stream):
        response = acme.upload(PAGES, with_stream(stream, TEXT.encode()), status=422)
        assert "a.txt" in response.json["detail"]


class TestConditions:
    @pytest.mark.parametrize("path", ["p/stored.txt", "p/deflated.txt", "p/"])
    @pytest.mark.parametrize("accept", ["gzip", "identity"])
    @pytest.mark.parametrize("template", ["{}", "W/{}", '"x", {}', "*"])
    def test_who_has_it_hears_304(self, site, path, accept, template):
        whole = fetch(site, path, Accept_Encoding=accept)
        tag = template.format(whole.headers["ETag"])
        for method in ("GET", "HEAD"):
            response = fetch(site, path, method, Accept_Encoding=accept, If_None_Match=tag)
            assert (response.status_int, response.body) == (304, b"")
            for name in ("ETag", "Cache-Control", "Vary"):
                assert response.headers.get(name) == whole.headers.get(name)

    @pytest.mark.parametrize("tag", ['"x"', "", "x", "W/", '"', ",,,"])
    def test_who_has_another_hears_200(self, site, tag):
        for accept in ("gzip", "identity"):
            response = fetch(site, "p/deflated.txt", Accept_Encoding=accept, If_None_Match=tag)
            assert response.status_int == 200

    def test_a_tag_goes_before_a_date(self, site):
        date = fetch(site, "p/stored.txt").headers["Last-Modified"]
        response = fetch(site, "p/stored.txt", If_None_Match='"x"', If_Modified_Since=date)
        assert response.status_int == 200

    @pytest.mark.parametrize("path", ["p/stored.txt", "p/deflated.txt"])
    def test_a_date_is_enough_for_304(self, site, path):
        date = fetch(site, path).headers["Last-Modified"]
        response = fetch(site, path, If_Modified_Since=date)
        assert (response.status_int, response.body) == (304, b"")
        earlier = format_datetime(parsedate_to_datetime(date) - timedelta(seconds=1), usegmt=True)
        assert fetch(site, path, If_Modified_Since=earlier).status_int == 200

    @pytest.mark.parametrize(
        "date",
        [
            *("", "x", "0", "2026-11-21", "Sat, 21 Nov 0000 00:00:00 GMT", "\xff", "-1"),
            *("Sat, 99 Nov 2026 00:00:00 GMT", "Sat, 21 Nov 99999 00:00:00 GMT", "9" * 400),
            *(
                "Thu, 01 Jan 1970 00:00:00 GMT",
                "Sat, 21 Nov 2026 99:99:99 GMT",
                "Mon, 1 Jan 1 +9999",
            ),
        ],
    )
    def test_a_date_that_is_none_is_200(self, site, date):
        assert fetch(site, "p/stored.txt", If_Modified_Since=date).status_int == 200


class TestRanges:
    @pytest.mark.parametrize("name", BOTH)
    @pytest.mark.parametrize(
        ("wanted", "start", "stop"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=0-99", 0, 100),
            ("bytes=1000-1999", 1000, 2000),
            ("bytes=100-", 100, len(TEXT)),
            ("bytes=-7", len(TEXT) - 7, len(TEXT)),
            ("bytes=-99999", 0, len(TEXT)),
            ("bytes=5-99999", 5, len(TEXT)),
            (f"bytes={len(TEXT) - 1}-", len(TEXT) - 1, len(TEXT)),
        ],
    )
    def test_a_part_is_206(self, site, name, wanted, start, stop):
        response = fetch(site, f"p/{name}", Range=wanted)
        assert response.status_int == 206
        assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(TEXT)}"
        assert response.headers["Content-Length"] == str(stop - start)
        assert response.text == TEXT[start:stop]
        whole = fetch(site, f"p/{name}")
        for header in ("ETag", "Content-Type", "Last-Modified"):
            assert response.headers[header] == whole.headers[header]

    @pytest.mark.parametrize("name", BOTH)
    @pytest.mark.parametrize("wanted", [f"bytes={len(TEXT)}-", "bytes=99999-100000", "bytes=-0"])
    def test_a_part_that_is_not_there_is_416(self, site, name, wanted):
        response = fetch(site, f"p/{name}", Range=wanted)
        assert response.status_int == 416
        assert response.headers["Content-Range"] == f"bytes */{len(TEXT)}"

    @pytest.mark.parametrize("name", BOTH)
    @pytest.mark.parametrize(
        "wanted", ["", "bytes", "bytes=", "bytes=x-y", "bytes=9-2", "lines=0-1", "bytes=--1", "0-1"]
    )
    def test_what_is_no_range_gets_all_of_it(self, site, name, wanted):
        response = fetch(site, f"p/{name}", Range=wanted)
        assert (response.status_int, response.text) == (200, TEXT)

    @pytest.mark.parametrize("name", BOTH)
    def test_several_at_once_are_answered_with_everything(self, site, name):
        response = fetch(site, f"p/{name}", Range="bytes=0-1,5-6,-2")
        assert (response.status_int, response.text) == (200, TEXT)

    def test_a_range_and_a_coding_are_never_mixed_up(self, site):
        whole = fetch(site, "p/deflated.txt", Accept_Encoding="gzip")
        part = fetch(site, "p/deflated.txt", Accept_Encoding="gzip", Range="bytes=2-9")
        assert (part.status_int, part.text) == (206, TEXT[2:10])
        assert "Content-Encoding" not in part.headers
        assert part.headers["ETag"] != whole.headers["ETag"]

    @pytest.mark.parametrize("name", BOTH)
    def test_if_range_decides_between_the_part_and_the_whole(self, site, name):
        whole = fetch(site, f"p/{name}").headers
        for condition, status in (
            (whole["ETag"], 206),
            ('"x"', 200),
            ("W/" + whole["ETag"], 200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
            ("junk", 200),
            ("", 200),
        ):
            response = fetch(site, f"p/{name}", Range="bytes=1-2", If_Range=condition)
            assert (condition, response.status_int) == (condition, status)

    def test_a_tag_of_the_packed_form_asks_for_no_part_of_the_plain_one(self, site):
        tag = fetch(site, "p/deflated.txt", Accept_Encoding="gzip").headers["ETag"]
        assert fetch(site, "p/deflated.txt", Range="bytes=1-2", If_Range=tag).status_int == 200

    def test_a_large_file_is_sent_in_any_part(self, acme):
        content = bytes(range(256)) * 4096
        acme.upload(PAGES, mixed_archive("p", {"s.bin": content}, {"d.bin": content}))
        for name in ("s.bin", "d.bin"):
            assert fetch(acme, f"p/{name}").body == content
            part = fetch(acme, f"p/{name}", Range="bytes=700000-900000")
            assert part.body == content[700000:900001]
            packed = fetch(acme, f"p/{name}", Accept_Encoding="gzip")
            coded = packed.headers.get("Content-Encoding") == "gzip"
            assert (gzip.decompress(packed.body) if coded else packed.body) == content


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


class TestDates:
    """A date has whole seconds, and yet never says that other content is the same: D34."""

    def swap(self, client, how):
        if how == "republish":
            client.publish_page("p", {"a.txt": "new"})
        elif how == "roll back":
            client.send_json("POST", f"{PAGES}/p/rollback", {"publication": 1})
        elif how == "unpublish and publish":
            client.delete(f"{PAGES}/p")
            client.publish_page("p", {"a.txt": "new"})
        else:
            client.delete(f"{PAGES}/p")
            client.send_json("POST", f"{PAGES}/p/rollback", {"publication": 1})

    @pytest.mark.parametrize(
        "how",
        ["republish", "roll back", "unpublish and publish", "unpublish and roll back"],
    )
    @pytest.mark.parametrize("gap", [0, 0.3, 1, 5])
    def test_after_a_swap_a_date_of_before_is_never_304(self, frozen, how, gap):
        frozen.publish_page("p", {"a.txt": "first"})
        set_clock(frozen, 100.2)
        frozen.publish_page("p", {"a.txt": "old"})
        dates = []
        for second in (100.2, 100.5):
            set_clock(frozen, second)
            dates.append(fetch(frozen, "p/a.txt").headers.get("Last-Modified"))
        set_clock(frozen, 100.5 + gap)
        self.swap(frozen, how)
        for later in (0, 0.4, 1, 2, 10):
            set_clock(frozen, 100.5 + gap + later)
            for date in filter(None, dates):
                assert fetch(frozen, "p/a.txt", If_Modified_Since=date).status_int == 200
            now = fetch(frozen, "p/a.txt").headers.get("Last-Modified")
            assert now not in dates

    def test_ten_swaps_within_a_second_are_ten_states(self, frozen):
        seen = set()
        for number in range(10):
            frozen.publish_page("p", {"a.txt": str(number)})
            for date in seen:
                response = fetch(frozen, "p/a.txt", If_Modified_Since=date)
                assert (response.status_int, response.text) == (200, str(number))
            seen |= {fetch(frozen, "p/a.txt").headers.get("Last-Modified")} - {None}

    def test_a_date_is_never_in_the_future(self, frozen):
        for _ in range(3):
            frozen.publish_page("p", {"a.txt": "x"})
            date = fetch(frozen, "p/a.txt").headers.get("Last-Modified")
            if date is not None:
                assert parsedate_to_datetime(date) <= frozen.hub.registry.clock()

    def test_it_is_there_again_when_the_second_has_passed(self, frozen):
        for _ in range(3):
            frozen.publish_page("p", {"a.txt": "x"})
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

    def test_if_range_with_a_date_of_before_gets_all_of_the_new(self, frozen):
        frozen.publish_page("p", {"a.txt": "old content"})
        set_clock(frozen, 30)
        date = fetch(frozen, "p/a.txt").headers["Last-Modified"]
        frozen.publish_page("p", {"a.txt": "new content"})
        response = fetch(frozen, "p/a.txt", Range="bytes=0-2", If_Range=date)
        assert (response.status_int, response.text) == (200, "new content")


class TestNotFoundPage:
    @pytest.fixture
    def lost(self, acme):
        acme.publish_page(
            "p", {"index.html": "i", "404.html": "<h1>lost</h1>", "d/404.html": "deep", "d/x": "x"}
        )
        return acme

    @pytest.mark.parametrize("path", ["p/none", "p/none/", "p/d/", "p/d", "p/d/none", "p/d/x/y"])
    def test_a_page_may_bring_its_own(self, lost, path):
        response = fetch(lost, path)
        assert (response.status_int, response.text) == (404, "<h1>lost</h1>")
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "no-cache" in response.headers["Cache-Control"]
        assert_open_and_sandboxed(response)

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

    def test_it_can_be_asked_for_itself(self, lost):
        assert fetch(lost, "p/404.html").status_int == 200

    def test_it_is_that_page_s_alone(self, lost):
        for path in ("none", "none/x", ""):
            assert "lost" not in fetch(lost, path).text

    def test_it_is_packed_for_who_accepts_it(self, lost):
        response = fetch(lost, "p/none", Accept_Encoding="gzip")
        assert response.status_int == 404
        coded = response.headers.get("Content-Encoding") == "gzip"
        body = gzip.decompress(response.body) if coded else response.body
        assert body == b"<h1>lost</h1>"


class TestCost:
    def cost(self, client, path, **headers):
        client.hub.organisation()  # a commit: nothing that was read before is read from memory
        with statements(client.hub) as seen:
            fetch(client, path, **headers)
        return len(seen)

    def test_a_visit_takes_one_statement(self, site):
        paths = [
            "p/",
            "p",
            "p/stored.txt",
            "p/deflated.txt",
            "p/d/",
            "p/none",
            "none/",
            "p/d/e/f.txt",
        ]
        assert {path: self.cost(site, path) for path in paths} == dict.fromkeys(paths, 1)

    def test_so_it_does_however_many_pages_and_files_there_are(self, acme):
        for number in range(15):
            acme.publish_page(f"a/b/c/{number}", {"index.html": "i"})
        files = {f"d/{number}.txt": "x" for number in range(300)}
        acme.publish_page("a/b/d/e/f/g/h/8", {**files, "404.html": "n"})
        for path in ("d/7.txt", "d/none", "", "d"):
            assert self.cost(acme, f"a/b/d/e/f/g/h/8/{path}") == 1

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


class TestSwap:
    def test_what_was_is_gone_with_the_answer_of_the_publish(self, acme):
        for number in range(5):
            acme.publish_page("p", {"index.html": str(number), f"{number}.txt": "x"})
            assert fetch(acme, "p/").text == str(number)
            assert fetch(acme, f"p/{number}.txt").status_int == 200
            assert fetch(acme, f"p/{number - 1}.txt").status_int == 404

    def test_a_file_may_become_a_folder_and_back(self, acme):
        acme.publish_page("p", {"a": "file"})
        assert fetch(acme, "p/a").text == "file"
        acme.publish_page("p", {"a/index.html": "folder"})
        assert fetch(acme, "p/a").status_int == 308
        acme.send_json("POST", f"{PAGES}/p/rollback", {"publication": 1})
        assert fetch(acme, "p/a").text == "file"


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A client of a hub that has another host for pages."""
    hub = Hub.below(tmp_path_factory.mktemp("hosts"), pages_host="pages.example.net")
    client = hub.organisation()
    client.publish_page("p", {"index.html": "i"})
    yield client
    hub.registry.database.close()


class TestHostOfTheirOwn:
    def test_pages_are_served_there_without_a_sandbox(self, apart):
        response = fetch(apart, "p/", host="pages.example.net")
        assert (response.status_int, response.text) == (200, "i")
        assert "sandbox" not in response.headers.get("Content-Security-Policy", "")
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("host", ["Pages.Example.Net", "pages.example.net:80"])
    def test_the_host_may_be_spelled_in_any_way(self, apart, host):
        assert fetch(apart, "p/", host=host).status_int == 200

    @pytest.mark.parametrize("path", ["p/", "p/none", "p", "none/"])
    def test_on_the_hub_s_own_host_nothing_of_them_is_served(self, apart, path):
        response = fetch(apart, f"{path}?q=1")
        target = f"http://pages.example.net/pages/{apart.slug}/{path}?q=1"
        assert (response.status_int, response.headers["Location"]) == (308, target)
        assert response.body == b""

    @pytest.mark.parametrize(
        "path", ["/api/pages", "/api/pages/p", "/api/packages", "/api/organisation", "/api/keys"]
    )
    def test_the_api_is_not_served_there(self, apart, path):
        request = Request.blank(path, base_url="http://pages.example.net")
        request.headers["Authorization"] = f"Api-Key {apart.key}"
        assert request.get_response(apart.hub.wsgi).status_int == 404
        plain = Request.blank(path, headers={"Authorization": f"Api-Key {apart.key}"})
        assert plain.get_response(apart.hub.wsgi).status_int == 200


class TestCostToOthers:
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
        assert seen == []


def test_a_file_that_is_told_otherwise_what_it_is_is_another_to_those_who_have_it(acme):
    headers = "/f.txt\n Content-Type: text/html\n Content-Disposition: attachment\n"
    acme.publish_page("x", {"f.txt": "the same", "_headers": headers})
    before = acme.visit("x/f.txt").headers
    assert before["Content-Disposition"] == "attachment"
    acme.visit("x/f.txt", 304, If_None_Match=before["ETag"])
    acme.publish_page("x", {"f.txt": "the same"})
    after = acme.visit("x/f.txt", 200, If_None_Match=before["ETag"])
    assert after.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Content-Disposition" not in after.headers


def test_names_in_utf_8_that_do_not_say_so_are_read_as_that(acme):
    """As some programs of macOS and of Unix write them."""
    archive = page_zip("x", {"f_.txt": "found"}).replace(b"f_.txt", "ü.txt".encode())
    acme.upload("/api/pages", archive)
    assert acme.visit("x/%C3%BC.txt").text == "found"
