"""No input yields a 5xx, and every refusal under `/api/` is JSON: D27, D28.

EXAMPLES asks for more examples of each.
"""

import json
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import FORM, READS, file_part, multipart, text_part

PUBLISH = "/api/packages/widget/versions"

patient = settings(suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def client(hub):
    """A client whose organisation has `widget` with versions 1 and 2."""
    client = hub.organisation()
    client.publish("widget")
    client.publish("widget")
    client.app.lint = False  # what no good client would send is the point
    return client


def check(response):
    """A reason in JSON, where the answer is none of the hub's faults."""
    assert response.status_int < 500, response.body
    if response.status_int >= 400 and response.request.method != "HEAD":
        assert response.headers["Content-Type"] == "application/json"
        assert isinstance(response.json["detail"], str)


WORDS = [
    *(b"api", b"packages", b"widget", b"versions", b"1", b"2", b"download", b"history", b"latest"),
    *(
        b"aliases",
        b"stable",
        b"log",
        b"keys",
        b"members",
        b"organisation",
        b"_ah",
        b"..",
        b".",
        b"",
    ),
    *(b"@@x", b"\xff", b"\0", b"%41", "ü".encode(), "u\u0308".encode(), b"9" * 400, b"a;b=c"),
    *(b"*", b"+", b"++x++", b"<script>", b"a%0d%0ab", b"a'b", b'"', b"x" * 5000, b"\x7f"),
]
segments = st.one_of(st.sampled_from(WORDS), st.binary(max_size=12))
paths = st.one_of(
    st.lists(segments, max_size=8).map(b"/".join),
    st.lists(segments, max_size=5).map(lambda some: b"api/packages/" + b"/".join(some)),
    segments.map(lambda alias: b"api/packages/widget/aliases/" + alias),
).map(lambda raw: "/" + quote_from_bytes(raw, safe="/"))
known_paths = st.sampled_from([path.format("widget") for path in READS])
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)
TYPES = [
    *("application/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded"),
    *(FORM, "multipart/form-data", 'multipart/form-data; boundary="', "text/plain", ";"),
    "multipart/form-data; boundary=" + "x" * 5000,
    "multipart/form-data; boundary*0=a; boundary*1=b",
]
types = st.one_of(st.sampled_from(TYPES), header_text)


class TestPaths:
    @patient
    @given(
        method=methods,
        path=st.one_of(paths, known_paths),
        query=st.binary(max_size=20),
        kind=types,
        body=st.binary(),
    )
    def test_any_method_and_body_on_any_path(self, client, method, path, query, kind, body):
        check(client.call(method, f"{path}?{quote_from_bytes(query)}"))
        check(client.call(method, path, body, content_type=kind))

    @patient
    @given(path=known_paths, limit=st.binary(max_size=12), cursor=st.binary(max_size=40))
    def test_any_page(self, client, path, limit, cursor):
        limit, cursor = quote_from_bytes(limit, safe=""), quote_from_bytes(cursor, safe="")
        check(client.get(f"{path}?limit={limit}&cursor={cursor}", "*"))


numbers = st.one_of(
    st.integers(),
    st.integers().map(lambda number: number * 10**40),
    st.floats(),
    st.sampled_from([0, 1, 2, -1, 2**31, 2**63, 2**64, 1e308]),
)
texts = st.one_of(
    st.text(st.characters(), max_size=20),
    st.sampled_from(["\ud800", "\0", "widget", "1", "a\ud83d", "\u202e", "x" * 5000]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
FIELDS = ["name", "version", "reason", "label", "user", "scopes", "expires_at", "x"]
bodies = st.one_of(
    values, st.dictionaries(st.sampled_from(FIELDS), st.one_of(numbers, texts, values))
)
ACTIONS = [
    ("POST", "/api/packages"),
    ("POST", PUBLISH),
    ("PUT", "/api/packages/widget/aliases/stable"),
    ("DELETE", "/api/packages/widget/versions/99"),
    ("DELETE", "/api/packages/gadget"),
    ("POST", "/api/keys"),
]
actions = st.sampled_from(ACTIONS)


class TestJson:
    @pytest.mark.backend
    @patient
    @given(action=actions, body=bodies)
    def test_any_value_anywhere(self, client, action, body):
        raw = json.dumps(body).encode()
        check(client.call(*action, raw, content_type="application/json"))

    @patient
    @given(action=actions, body=bodies, cut=st.integers(0, 60), junk=st.binary(max_size=4))
    def test_any_damage(self, client, action, body, cut, junk):
        raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        raw = raw[: cut % (len(raw) + 1)] + junk + raw[cut + 1 :]
        check(client.call(*action, raw, content_type="application/json"))

    @patient
    @given(action=actions, body=st.binary(max_size=60))
    def test_any_form(self, client, action, body):
        fields = b"name=%00&version=" + body + b"&reason=%ff&=&&%"
        check(client.call(*action, fields, content_type="application/x-www-form-urlencoded"))

    @pytest.mark.backend
    def test_depth_and_size(self, client):
        for raw in (
            b"[" * 200_000,
            b'{"name":' * 50_000 + b"1" + b"}" * 50_000,
            b'{"name":' + b"[" * 900 + b"]" * 900 + b"}",
            b'{"version":' + b"1" * 4000 + b"}",
            b'{"version":1' + b"0" * 4300 + b"}",
            b'{"version":1e999999}',
            b'{"version":-0}',
            b'{"reason":"\\ud800"}',
            b'{"name":"\\u0000"}',
            b'{"name":"' + b"a" * 3_000_000 + b'"}',
        ):
            for action in ACTIONS:
                check(client.call(*action, raw, content_type="application/json"))


WHOLE_FORM = multipart(
    [
        text_part("summary", "s"),
        file_part(package_zip("widget")),
        text_part("parent_version", "999"),  # so that no mutation publishes
        text_part("description", "d"),
    ]
)


def publish(client, body, content_type=FORM, path=PUBLISH):
    check(client.call("POST", path, body, content_type=content_type))


def publish_archive(client, archive, **path):
    publish(client, multipart([file_part(archive), text_part("parent_version", "999")]), **path)


def edits_of(data):
    """`data` with a few bytes changed."""

    def edited(edits):
        changed = data
        for at, removed, added in edits:
            changed = changed[:at] + added + changed[at + removed :]
        return changed

    edit = st.tuples(st.integers(0, len(data)), st.integers(0, 4), st.binary(max_size=6))
    return st.lists(edit, min_size=1, max_size=5).map(edited)


class TestForms:
    @patient
    @given(body=edits_of(WHOLE_FORM), cut=st.integers(0, len(WHOLE_FORM)))
    def test_a_form_with_any_bytes_changed_or_cut(self, client, body, cut):
        publish(client, body)
        publish(client, WHOLE_FORM[:cut])

    @patient
    @given(
        disposition=st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=60),
        content=st.binary(max_size=40),
    )
    def test_any_disposition(self, client, disposition, content):
        publish(client, multipart([({"Content-Disposition": disposition}, content)]))
        header = {"Content-Disposition": "form-data; " + disposition}
        publish(client, multipart([(header, content), text_part("parent_version", "999")]))

    def test_any_part_header(self, client):
        for part in (
            b'Content-Disposition: form-data; name="\xff\xfe"',
            b"Content-Disposition: form-data; name*=utf-8''%ff",
            b"Content-Disposition: form-data; name*=nonsense''x",
            b'Content-Disposition: form-data; name="file"; filename="\xff.zip"',
            b"Content-Disposition: form-data; name=file; filename*=x''y",
            b"Content-Disposition: form-data",
            b"Content-Disposition: form-data; name",
            b"Content-Disposition: attachment; name=x",
            b"Content-Type: text/plain; charset=nonsense\r\nContent-Disposition: form-data; name=x",
            b"Content-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: base64",
            b"Content-Length: -1\r\nContent-Disposition: form-data; name=x",
            b"X: " + b"y" * 70_000,
            b"X-\xff: y",
            b"",
        ):
            body = b"--frontier\r\n" + part + b"\r\n\r\ncontent\r\n--frontier--\r\n"
            publish(client, body)
            publish(client, body, path="/api/packages")

    def test_two_thousand_fields(self, client):
        pairs = b"&".join(b"f%d=x" % number for number in range(2000))
        for action in ACTIONS:
            check(client.call(*action, pairs, content_type="application/x-www-form-urlencoded"))

    @patient
    @given(boundary=header_text)
    def test_any_boundary(self, client, boundary):
        for template in ("multipart/form-data; boundary={}", 'multipart/form-data; boundary="{}"'):
            publish(client, WHOLE_FORM, template.format(boundary))


class TestArchives:
    ARCHIVE = make_zip({"package.toml": manifest("other"), "x": "y" * 50, "HISTORY.md": "# a@1\n"})

    @patient
    @given(archive=edits_of(ARCHIVE), cut=st.integers(0, len(ARCHIVE)))
    def test_an_archive_with_any_bytes_changed_or_cut(self, client, archive, cut):
        publish_archive(client, archive)
        publish_archive(client, self.ARCHIVE[:cut])

    @patient
    @given(text=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)))
    def test_any_manifest_and_any_history(self, client, text):
        for raw in (text, b'[package]\nname = "widget"\nauthor = "a"\n' + text):
            publish_archive(client, make_zip({"package.toml": raw}))
        name = "forks-of-nothing"
        members = {"package.toml": manifest(name), "HISTORY.md": b"# Package History: " + text}
        publish_archive(client, make_zip(members), path=f"/api/packages/{name}/versions")


NAMES = [
    *("Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"),
    *("Idempotency-Key", "Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "Cookie"),
    *("Host", "X-Request-Id", "X-Forwarded-For", "X-CSRFToken", "Origin", "Expect"),
]
LIKELY = [
    *("bytes=0-", "bytes=" + "9" * 30 + "-", "bytes=-" + "9" * 30, "bytes=0-0,1-1"),
    *("bytes=" + "0-0," * 3000, '"x"', "W/" * 500, '"' * 999, "*", "\xff", "", "q=" * 300),
    *("Thu, 99 Jan 99999 99:99:99 GMT", "Thu, 01 Jan 0001 00:00:00 +2359"),
    *("Fri, 31 Dec 9999 23:59:59 -2359", "=?utf-8?q?=00?="),
]
header_values = st.one_of(st.sampled_from(LIKELY), header_text)


class TestHeaders:
    @patient
    @given(
        path=known_paths,
        action=st.sampled_from(ACTIONS[:4]),
        headers=st.dictionaries(st.sampled_from(NAMES), header_values, max_size=4),
    )
    def test_any_header(self, client, path, action, headers):
        check(client.get(path, "*", headers=headers))
        headers = {"Content-Type": "application/json", **headers}
        check(client.call(*action, b'{"name":"widget"}', headers=headers))

    @patient
    @given(value=header_text)
    def test_any_credential(self, client, value):
        for each in (value, f"Api-Key {value}", f"Api-Key kpf_{value}"):
            response = client.get("/api/packages", "*", headers={"Authorization": each})
            check(response)
            assert response.status_int == 401
