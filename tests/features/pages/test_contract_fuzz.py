"""No input yields a 5xx, and what is refused leaves the page as it was: D2, D27, D28."""

import gzip
import io
import json
import zipfile
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from webob import Request

from tests.support.archives import make_zip, page_zip
from tests.support.contract import file_part, multipart, text_part

pytestmark = pytest.mark.long

PAGES = "/api/pages"
OLD = {"index.html": "<h1>old</h1>" * 20, "d/a.txt": "old a"}

often = settings(max_examples=60, suppress_health_check=list(HealthCheck))
seldom = settings(max_examples=25, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def client(hub):
    """A client whose organisation has the page `p`."""
    client = hub.organisation()
    client.publish_page("p", OLD)
    client.app.lint = False  # what no good client would send is the point
    return client


def ask(client, url, method="GET", **headers):
    """What a stranger is answered, its coding left alone. `url` is encoded already."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request.blank(url, method=method, headers=named).get_response(client.hub.wsgi)


def assert_as_it_was(client):
    assert [each["path"] for each in client.get(PAGES).json] == ["p"]
    for name, text in OLD.items():
        assert ask(client, f"/pages/{client.slug}/p/{name}").text == text


def assert_published(client, path):
    """What was let in is served: the same bytes to all, whatever they accept."""
    for name in ("", "index.html", "d/a.txt", "none"):
        url = f"/pages/{client.slug}/{path}/{name}"
        plain = ask(client, url)
        packed = ask(client, url, Accept_Encoding="gzip")
        assert plain.status_int == packed.status_int < 500
        coded = packed.headers.get("Content-Encoding") == "gzip"
        body = gzip.decompress(packed.body) if coded else packed.body
        assert body == plain.body


def check_upload(client, archive, fields=()):
    """Upload, look, and bring the old page back."""
    response = client.call(
        "POST",
        PAGES,
        multipart([*(text_part(*each) for each in fields), file_part(archive)]),
        content_type="multipart/form-data; boundary=frontier",
    )
    assert response.status_int in {201, 400, 409, 422}, response.body
    assert response.headers["Content-Type"] == "application/json"
    if response.status_int != 201:
        assert list(response.json) == ["detail"]
        assert_as_it_was(client)
        return response
    path = response.json["path"]
    assert_published(client, path)
    if path == "p":
        client.publish_page("p", OLD)
    else:
        client.delete(f"{PAGES}/{path}")
    assert_as_it_was(client)
    return response


toml_values = st.one_of(
    st.text(max_size=20).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(["7", "true", "nan", "[1, {a = 'x'}]", "{}", "1979-05-27", "'x/y'", "''"]),
    st.sampled_from(['"\\u0000"', '"\\ud800"', "'''\nx\n'''", "9" * 5000, "[" * 500, "1e999"]),
)
manifests = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    toml_values.map(lambda value: f"[publish]\npath = {value}\n".encode("utf-8", "surrogatepass")),
    toml_values.map(lambda value: f"publish = {value}\n".encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from(["[publish]\n", "path = 'x'\n", "publish.path = 'y'\n", "[[publish]]\n"])
        | st.sampled_from(
            ["[publish.path]\n", "path.x = 1\n", '"path" = "z"\n', "\ufeff", "\r", "#"]
        ),
        max_size=5,
    ).map(lambda lines: "".join(lines).encode()),
)
words = st.sampled_from(
    [
        "a",
        "b",
        "p",
        "..",
        ".",
        "",
        ".a",
        "A",
        "ü",
        "\0",
        "'",
        '"',
        "a b",
        "\\",
        "%2F",
        "x" * 250,
        "\n",
    ]
)
page_paths = st.lists(words, max_size=10).map("/".join)


class TestManifests:
    @often
    @given(manifest=manifests)
    def test_any_manifest(self, client, manifest):
        check_upload(client, make_zip({"pages.toml": manifest, "index.html": "i"}))

    @often
    @given(path=page_paths | st.text(max_size=30).filter(str.isprintable))
    def test_any_path_is_judged_alike_wherever_it_stands(self, client, path):
        manifest = f"[publish]\npath = {json.dumps(path, ensure_ascii=False)}\n"
        told = check_upload(client, make_zip({"pages.toml": manifest, "index.html": "i"}))
        said = check_upload(client, page_zip(None), [("path", path)])
        if path.strip():
            assert (told.status_int, told.json.get("detail")) == (
                said.status_int,
                said.json.get("detail"),
            )
        shown = ask(
            client,
            f"{PAGES}/{quote_from_bytes(path.encode())}",
            Authorization=f"Api-Key {client.key}",
        )
        assert shown.status_int < 500
        if told.status_int == 422 and path == path.strip() and path and not path.endswith("/"):
            assert shown.status_int in {404, 422}

    @seldom
    @given(author=st.text(max_size=40), path=st.binary(max_size=12))
    def test_any_field(self, client, author, path):
        fields = [("author", author.encode("utf-8", "replace")), ("path", path)]
        check_upload(client, page_zip(None), fields)


segments = st.one_of(
    st.sampled_from(
        [b"p", b"d", b"a.txt", b"index.html", b"..", b".", b"", b"@@x", b"\xff", b"\0"]
    ),
    st.sampled_from(
        [b"publications", b"rollback", b"1", b"diff", b"2", b"9" * 30, b"\xc3\xbc", b"%"]
    ),
    st.binary(max_size=8),
)
addresses = st.lists(segments, max_size=9).map(
    lambda some: quote_from_bytes(b"/".join(some), safe="/")
)
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
header_values = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    st.sampled_from(
        ["*", '"x"', "bytes=0-", "bytes=-1", "bytes=5-2", "gzip;q=0.5, *;q=0", "9" * 99]
    ),
    st.sampled_from(["Sat, 21 Nov 2026 09:00:00 GMT", "bytes=" + "9" * 99 + "-", "bytes=0-0,2-3"]),
)
HEADERS = [
    *("Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "Accept-Encoding"),
    *("If-Unmodified-Since", "Authorization", "Cookie", "Host", "Origin", "X-Forwarded-Host"),
    *("Access-Control-Request-Method", "Accept", "X-Vhm-Root", "Content-Type"),
]


class TestAddresses:
    @often
    @given(method=methods, rest=addresses, query=st.binary(max_size=10))
    def test_any_address_of_a_visitor(self, client, method, rest, query):
        url = f"/pages/{client.slug}/{rest}?{quote_from_bytes(query)}"
        response = ask(client, url, method)
        assert response.status_int < 500
        assert response.headers["Content-Security-Policy"].startswith("sandbox ")
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    @often
    @given(method=methods.filter(lambda each: each != "DELETE"), rest=addresses, body=st.binary())
    def test_any_address_of_the_api(self, client, method, rest, body):
        response = client.call(method, f"{PAGES}/{rest}", body, content_type="application/json")
        assert response.status_int < 500
        if response.status_int >= 400 and method != "HEAD":
            assert next(iter(response.json)) == "detail"
        assert_as_it_was(client)

    @often
    @given(
        sent=st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=4),
        name=st.sampled_from(["index.html", "d/a.txt", "none", ""]),
        method=st.sampled_from(["GET", "HEAD"]),
    )
    def test_any_header_of_a_visitor(self, client, sent, name, method):
        url = f"/pages/{client.slug}/p/{name}"
        response = Request.blank(url, method=method, headers=sent).get_response(client.hub.wsgi)
        assert response.status_int < 500
        if response.status_int == 200 and method == "GET":
            coded = response.headers.get("Content-Encoding") == "gzip"
            body = gzip.decompress(response.body) if coded else response.body
            assert body.decode() == OLD[name or "index.html"]

    @often
    @given(
        value=st.one_of(
            st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.booleans()
        )
        | st.lists(st.integers(), max_size=2),
        name=st.sampled_from(["publication", "publication", "Publication", "x"]),
    )
    def test_any_rollback(self, client, value, name):
        numbers = [each["publication"] for each in client.get(f"{PAGES}/p/publications").json]
        response = client.send_json("POST", f"{PAGES}/p/rollback", {name: value}, "*")
        assert response.status_int in {200, 400, 404}
        if response.status_int == 200:
            assert int(value) in numbers
        client.publish_page("p", OLD)


rule_words = st.one_of(
    st.sampled_from(
        ["/*", "/a", "/:x", "/:x/*", "/b/:splat", ":x", "*", "200", "301!", "404", "302"]
    ),
    st.sampled_from(
        ["/d/a.txt", "/", "//", "https://e.example/:x", "#", "Country=x", "/%ff", "/\u0308"]
    ),
    st.sampled_from(
        ["/*/x", "/a*b", "/::", "/:1", "/:a:b", "/:a-:b", "/?x=:x", "/index.html", "/.."]
    ),
    st.text(max_size=6),
)
rule_lines = st.lists(rule_words, max_size=5).map(" ".join)
redirect_files = st.one_of(
    st.lists(rule_lines, max_size=6)
    .map("\n".join)
    .map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=60),
)
header_lines = st.one_of(
    rule_words,
    st.tuples(
        st.sampled_from(
            ["  X-A", "  Cache-Control", "\tcontent-type", " Link", " ", "  Set-Cookie"]
        ),
        st.sampled_from([":", ": ", " :", "::", ""]),
        st.text(max_size=10) | st.sampled_from(["text/html", "a\rb", "a\u2028b", "x" * 3000]),
    ).map("".join),
)
header_files = st.one_of(
    st.lists(header_lines, max_size=6)
    .map("\n".join)
    .map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=60),
)


class TestRules:
    PROBES = ("", "a", "a/", "x/y", "d/a.txt", "b/c/d", "%ff", "%0d%0aX-Evil:1", "u%CC%88", "?x=1")

    @settings(often, max_examples=100)
    @given(redirects=redirect_files, headers=header_files)
    @example(redirects=b"/* /:splat 301!", headers=b"/*\n  Content-Type: x")
    @example(redirects=b"/:a/* /*/:splat/:a 200!", headers=b"")
    def test_any_rules(self, client, redirects, headers):
        archive = page_zip("p", {**OLD, "_redirects": redirects, "_headers": headers})
        response = client.upload(PAGES, archive, status="*")
        assert response.status_int in {201, 422}
        if response.status_int == 422:
            assert "line" in response.json["detail"]
            assert_as_it_was(client)
            return
        for probe in self.PROBES:
            answer = ask(client, f"/pages/{client.slug}/p/{probe}")
            assert answer.status_int < 500
            assert "X-Evil" not in answer.headers
            assert "Set-Cookie" not in answer.headers
            [policy] = answer.headers.getall("Content-Security-Policy")
            assert policy.startswith("sandbox ")
            place = answer.headers.get("Location", "/pages/")
            assert place.isascii()
            assert place.startswith(("/pages/", "http://localhost/pages/", "https://e.example"))
        client.publish_page("p", OLD)


def mixed():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pages.toml", "[publish]\npath = 'p'\n")
        archive.writestr("index.html", "<h1>new</h1>" * 20, zipfile.ZIP_DEFLATED)
        archive.writestr("d/a.txt", "new a", zipfile.ZIP_STORED)
        archive.writestr("d/ü.txt", "new u" * 9, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


WHOLE = mixed()
DIRECTORY = WHOLE.index(b"PK\1\2")
places = st.one_of(st.integers(0, len(WHOLE) - 1), st.integers(DIRECTORY, len(WHOLE) - 1))


class TestArchives:
    def test_it_is_fine_as_it_is(self, client):
        assert check_upload(client, WHOLE).status_int == 201

    @settings(often, max_examples=150)
    @given(flips=st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=3))
    def test_any_bits_flipped(self, client, flips):
        data = bytearray(WHOLE)
        for at, bit in flips:
            data[at] ^= 1 << bit
        check_upload(client, bytes(data))

    @often
    @given(
        edits=st.lists(
            st.tuples(places, st.integers(0, 6), st.binary(max_size=6)), min_size=1, max_size=3
        )
    )
    def test_any_bytes_changed(self, client, edits):
        data = WHOLE
        for at, removed, added in edits:
            data = data[:at] + added + data[at + removed :]
        check_upload(client, data)

    def test_cut_anywhere(self, client):
        for cut in range(0, len(WHOLE), 23):
            assert check_upload(client, WHOLE[:cut]).status_int == 422

    @seldom
    @given(data=st.binary(max_size=300))
    def test_any_bytes_at_all(self, client, data):
        assert check_upload(client, data).status_int == 422
        assert check_upload(client, b"PK\x03\x04" + data).status_int == 422
        check_upload(client, data + WHOLE)

    @often
    @given(
        names=st.lists(
            st.one_of(
                st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
                st.lists(words, min_size=1, max_size=5).map("/".join).filter(bool),
            ),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    def test_any_names(self, client, names):
        # What writes archives here cuts a name at its first NUL.
        whole = [name.replace("\0", "") for name in names]
        members = {name: "x" for name in whole if name and name.lower() != "pages.toml"}
        check_upload(client, page_zip("p", members))
