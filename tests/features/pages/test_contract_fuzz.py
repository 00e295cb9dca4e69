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

# The client is the same in all examples: each brings the old page back.
shared = settings(suppress_health_check=list(HealthCheck))


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


def content_of(response):
    coded = response.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(response.body) if coded else response.body


def assert_as_it_was(client):
    assert [each["path"] for each in client.get(PAGES).json] == ["p"]
    for name, text in OLD.items():
        assert ask(client, f"/pages/{client.slug}/p/{name}").text == text


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
    # What was let in is served: the same bytes to all, whatever they accept.
    for name in ("", "index.html", "d/a.txt", "none"):
        url = f"/pages/{client.slug}/{path}/{name}"
        plain, packed = ask(client, url), ask(client, url, Accept_Encoding="gzip")
        assert plain.status_int == packed.status_int < 500
        assert content_of(packed) == plain.body
    if path == "p":
        client.publish_page("p", OLD)
    else:
        client.delete(f"{PAGES}/{path}")
    assert_as_it_was(client)
    return response


def words_of(text, *others):
    """One of these words, which white space parts, or of the others."""
    return st.sampled_from([*text.split(), *others])


def texts_of(words, joint, size):
    """Bytes of some words."""
    return st.lists(words, max_size=size).map(
        lambda some: joint.join(some).encode("utf-8", "replace")
    )


toml_values = (
    st.text(max_size=20).map(lambda text: json.dumps(text, ensure_ascii=False))
    | words_of("7 true nan {} 1979-05-27 'x/y' '' 1e999", "[1, {a = 'x'}]", "9" * 5000, "[" * 500)
    | st.sampled_from(['"\\u0000"', '"\\ud800"', "'''\nx\n'''"])
)
manifest_lines = words_of(
    "[publish] [[publish]] [publish.path] path='x' publish.path='y' path.x=1 publish=7 # \ufeff"
)
manifests = (
    st.binary(max_size=60)
    | texts_of(manifest_lines, "\n", 5)
    | toml_values.map(lambda value: f"[publish]\npath = {value}\n".encode("utf-8", "surrogatepass"))
)
words = words_of("a b p .. . .a A ü ' \" \\ %2F", "", "\0", "a b", "\n", "x" * 250)
page_paths = st.lists(words, max_size=10).map("/".join)


@shared
@given(manifest=manifests)
def test_any_manifest(client, manifest):
    check_upload(client, make_zip({"pages.toml": manifest, "index.html": "i"}))


@shared
@given(path=page_paths | st.text(max_size=30).filter(str.isprintable), author=st.text(max_size=40))
def test_any_path_is_judged_alike_wherever_it_stands(client, path, author):
    manifest = f"[publish]\npath = {json.dumps(path, ensure_ascii=False)}\n"
    told = check_upload(client, make_zip({"pages.toml": manifest, "index.html": "i"}))
    said = check_upload(client, page_zip(None), [("path", path)])
    if path.strip():
        assert told.status_int == said.status_int
        assert told.json.get("detail") == said.json.get("detail")
    url = f"{PAGES}/{quote_from_bytes(path.encode())}"
    shown = ask(client, url, Authorization=f"Api-Key {client.key}")
    assert shown.status_int < 500
    if told.status_int == 422 and path == path.strip() and path and not path.endswith("/"):
        assert shown.status_int in {404, 422}
    fields = [("path", path), ("author", author.encode("utf-8", "replace"))]
    check_upload(client, page_zip(None), fields)


segments = (
    words_of("p d a.txt index.html .. . @@x publications rollback 1 diff 2 ü %", "", "9" * 30).map(str.encode)
    | st.sampled_from([b"\xff", b"\0"])
    | st.binary(max_size=8)
)  # fmt: skip
addresses = st.lists(segments, max_size=9).map(
    lambda some: quote_from_bytes(b"/".join(some), safe="/")
)
methods = words_of("GET HEAD POST PUT OPTIONS PATCH")
headers = words_of(
    """
    Range If-Range If-None-Match If-Match If-Modified-Since If-Unmodified-Since Accept-Encoding
    Authorization Cookie Host Origin X-Forwarded-Host Access-Control-Request-Method Accept X-Vhm-Root
    Content-Type
    """
)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30) | words_of(
    '* "x" bytes=0- bytes=-1 bytes=5-2 bytes=0-0,2-3',
    "gzip;q=0.5, *;q=0",
    "Sat, 21 Nov 2026 09:00:00 GMT",
    "bytes=" + "9" * 99 + "-",
)


@shared
@given(method=methods, rest=addresses, query=st.binary(max_size=10))
def test_any_address(client, method, rest, query):
    url = f"/pages/{client.slug}/{rest}?{quote_from_bytes(query)}"
    response = ask(client, url, method)
    assert response.status_int < 500
    assert response.headers["Content-Security-Policy"].startswith("sandbox ")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    response = client.call(method, f"{PAGES}/{rest}", query, content_type="application/json")
    assert response.status_int < 500
    if response.status_int >= 400 and method != "HEAD":
        assert next(iter(response.json)) == "detail"
    assert_as_it_was(client)


@shared
@given(
    sent=st.dictionaries(headers, header_values, max_size=4),
    name=st.sampled_from(["index.html", "d/a.txt", "none", ""]),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_any_header_of_a_visitor(client, sent, name, method):
    response = ask(client, f"/pages/{client.slug}/p/{name}", method, **sent)
    assert response.status_int < 500
    if response.status_int == 200 and method == "GET":
        assert content_of(response).decode() == OLD[name or "index.html"]


rule_words = st.text(max_size=6) | words_of(
    """
    /* /a /:x /:x/* /b/:splat :x * 200 301! 404 302 /d/a.txt / // https://e.example/:x # Country=x
    /%ff /\u0308 /*/x /a*b /:: /:1 /:a:b /:a-:b /?x=:x /index.html /..
    """
)
redirect_files = st.binary(max_size=60) | texts_of(
    st.lists(rule_words, max_size=5).map(" ".join), "\n", 6
)
header_lines = st.tuples(
    st.sampled_from(["  X-A", "  Cache-Control", "\tcontent-type", " Link", " ", "  Set-Cookie"]),
    st.sampled_from([":", ": ", " :", "::", ""]),
    st.text(max_size=10) | st.sampled_from(["text/html", "a\rb", "a\u2028b", "x" * 3000]),
).map("".join)
header_files = st.binary(max_size=60) | texts_of(rule_words | header_lines, "\n", 6)
PROBES = ("", "a", "a/", "x/y", "d/a.txt", "b/c/d", "%ff", "%0d%0aX-Evil:1", "u%CC%88", "?x=1")


@shared
@given(redirects=redirect_files, headers=header_files)
@example(redirects=b"/* /:splat 301!", headers=b"/*\n  Content-Type: x")
@example(redirects=b"/:a/* /*/:splat/:a 200!", headers=b"")
def test_any_rules(client, redirects, headers):
    archive = page_zip("p", {**OLD, "_redirects": redirects, "_headers": headers})
    response = client.upload(PAGES, archive, status="*")
    assert response.status_int in {201, 422}
    if response.status_int == 422:
        assert "line" in response.json["detail"]
        assert_as_it_was(client)
        return
    for probe in PROBES:
        answer = ask(client, f"/pages/{client.slug}/p/{probe}")
        assert answer.status_int < 500
        assert not {"X-Evil", "Set-Cookie"} & set(answer.headers)
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
places = st.integers(0, len(WHOLE) - 1) | st.integers(DIRECTORY, len(WHOLE) - 1)
edits = st.tuples(places, st.integers(0, 6), st.binary(max_size=6))


@shared
@given(
    flips=st.lists(st.tuples(places, st.integers(0, 7)), max_size=3),
    changes=st.lists(edits, max_size=2),
    before=st.sampled_from([b"", b"PK\x03\x04"]) | st.binary(max_size=30),
)
@example([], [], b"")
def test_any_archive_that_was_changed(client, flips, changes, before):
    data = bytearray(WHOLE)
    for at, bit in flips:
        data[at] ^= 1 << bit
    for at, removed, added in changes:
        data[at : at + removed] = added
    response = check_upload(client, before + bytes(data))
    assert response.status_int == 201 or flips or changes or before


@shared
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
        | st.lists(words, min_size=1, max_size=5).map("/".join).filter(bool),
        min_size=1,
        max_size=5,
        unique=True,
    )
)
def test_any_names(client, names):
    # What writes archives here cuts a name at its first NUL.
    whole = [name.replace("\0", "") for name in names]
    members = {name: "x" for name in whole if name and name.lower() != "pages.toml"}
    check_upload(client, page_zip("p", members))
