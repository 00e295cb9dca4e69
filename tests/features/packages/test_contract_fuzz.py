"""No input yields a 5xx, and every refusal under `/api/` is JSON: D27, D28."""

import json
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import READS, file_part, multipart, text_part

pytestmark = pytest.mark.long

FORM = "multipart/form-data; boundary=frontier"
PUBLISH = "/api/packages/widget/versions"

often = settings(max_examples=150, suppress_health_check=list(HealthCheck))
seldom = settings(max_examples=60, suppress_health_check=list(HealthCheck))


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
    b"api",
    b"packages",
    b"widget",
    b"versions",
    b"1",
    b"2",
    b"download",
    b"history",
    b"latest",
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
    b"@@x",
    b"\xff",
    b"\0",
    b"%41",
    "ü".encode(),
    "u\u0308".encode(),
    b"9" * 400,
    b"a;b=c",
    b"*",
    b"+",
    b"++x++",
]
segments = st.one_of(st.sampled_from(WORDS), st.binary(max_size=12))
paths = st.one_of(
    st.lists(segments, max_size=8).map(b"/".join),
    st.lists(segments, max_size=5).map(lambda some: b"api/packages/" + b"/".join(some)),
).map(lambda raw: "/" + quote_from_bytes(raw, safe="/"))
known_paths = st.sampled_from([path.format("widget") for path in READS])
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)
types = st.one_of(
    st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            "application/x-www-form-urlencoded",
            FORM,
            "multipart/form-data",
            'multipart/form-data; boundary="',
            "multipart/form-data; boundary=" + "x" * 5000,
            "multipart/form-data; boundary*0=a; boundary*1=b",
            "text/plain",
            ";",
        ]
    ),
    header_text,
)


class TestPaths:
    @often
    @given(method=methods, path=paths, query=st.binary(max_size=20))
    def test_any_method_on_any_path(self, client, method, path, query):
        check(client.call(method, f"{path}?{quote_from_bytes(query)}"))

    @often
    @given(method=methods, path=st.one_of(paths, known_paths), kind=types, body=st.binary())
    def test_any_body_of_any_type(self, client, method, path, kind, body):
        check(client.call(method, path, body, content_type=kind))

    @seldom
    @given(path=known_paths, limit=st.text(max_size=12), cursor=st.text(max_size=40))
    def test_any_page(self, client, path, limit, cursor):
        query = "&".join(
            f"{name}={quote_from_bytes(value.encode('utf-8', 'surrogatepass'), safe='')}"
            for name, value in (("limit", limit), ("cursor", cursor))
        )
        check(client.get(f"{path}?{query}", "*"))


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


class TestJson:
    @settings(often, max_examples=300)
    @given(action=st.sampled_from(ACTIONS), body=bodies)
    def test_any_value_anywhere(self, client, action, body):
        raw = json.dumps(body).encode()
        check(client.call(*action, raw, content_type="application/json"))

    @often
    @given(
        action=st.sampled_from(ACTIONS),
        body=bodies,
        cut=st.integers(0, 60),
        junk=st.binary(max_size=4),
    )
    def test_any_damage(self, client, action, body, cut, junk):
        raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        raw = raw[: cut % (len(raw) + 1)] + junk + raw[cut + 1 :]
        check(client.call(*action, raw, content_type="application/json"))

    @seldom
    @given(action=st.sampled_from(ACTIONS), body=st.binary(max_size=60))
    def test_any_form(self, client, action, body):
        fields = b"name=%00&version=" + body + b"&reason=%ff&=&&%"
        check(client.call(*action, fields, content_type="application/x-www-form-urlencoded"))

    @pytest.mark.parametrize("action", ACTIONS)
    def test_depth_and_size(self, client, action):
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
            check(client.call(*action, raw, content_type="application/json"))

    @pytest.mark.parametrize("alias", ["\0", "\ud7ff", "x" * 5000, "\x7f"])
    def test_odd_aliases(self, client, alias):
        for method in ("GET", "PUT", "DELETE"):
            check(client.call(method, f"/api/packages/widget/aliases/{alias}", b"{}"))


WHOLE_FORM = multipart(
    [
        text_part("summary", "s"),
        file_part(package_zip("widget")),
        text_part("parent_version", "999"),  # so that no mutation publishes
        text_part("description", "d"),
    ]
)


class TestForms:
    def publish(self, client, body, content_type=FORM):
        check(client.call("POST", PUBLISH, body, content_type=content_type))

    def test_a_form_cut_at_any_byte(self, client):
        for cut in range(0, len(WHOLE_FORM), 3):
            self.publish(client, WHOLE_FORM[:cut])

    @settings(often, max_examples=300)
    @given(
        edits=st.lists(
            st.tuples(st.integers(0, len(WHOLE_FORM)), st.integers(0, 4), st.binary(max_size=6)),
            min_size=1,
            max_size=5,
        )
    )
    def test_a_form_with_any_bytes_changed(self, client, edits):
        body = WHOLE_FORM
        for at, removed, added in edits:
            body = body[:at] + added + body[at + removed :]
        self.publish(client, body)

    @often
    @given(
        disposition=st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=60),
        content=st.binary(max_size=40),
    )
    def test_any_disposition(self, client, disposition, content):
        self.publish(client, multipart([({"Content-Disposition": disposition}, content)]))
        header = {"Content-Disposition": "form-data; " + disposition}
        self.publish(client, multipart([(header, content), text_part("parent_version", "999")]))

    @pytest.mark.parametrize(
        "part",
        [
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
        ],
        ids=lambda part: repr(part[:60]),
    )
    def test_any_part_header(self, client, part):
        body = b"--frontier\r\n" + part + b"\r\n\r\ncontent\r\n--frontier--\r\n"
        self.publish(client, body)
        check(client.call("POST", "/api/packages", body, content_type=FORM))

    def test_two_thousand_fields(self, client):
        fields = [text_part(f"f{number}", "x") for number in range(2000)]
        self.publish(client, multipart(fields))
        pairs = b"&".join(b"f%d=x" % number for number in range(2000))
        for action in ACTIONS:
            check(client.call(*action, pairs, content_type="application/x-www-form-urlencoded"))

    @seldom
    @given(boundary=header_text)
    def test_any_boundary(self, client, boundary):
        for template in ("multipart/form-data; boundary={}", 'multipart/form-data; boundary="{}"'):
            self.publish(client, WHOLE_FORM, template.format(boundary))


class TestArchives:
    ARCHIVE = make_zip({"package.toml": manifest("other"), "x": "y" * 50, "HISTORY.md": "# a@1\n"})

    @settings(often, max_examples=300)
    @given(
        edits=st.lists(
            st.tuples(st.integers(0, len(ARCHIVE)), st.integers(0, 3), st.binary(max_size=4)),
            min_size=1,
            max_size=4,
        )
    )
    def test_an_archive_with_any_bytes_changed(self, client, edits):
        data = self.ARCHIVE
        for at, removed, added in edits:
            data = data[:at] + added + data[at + removed :]
        body = multipart([file_part(data), text_part("parent_version", "999")])
        check(client.call("POST", PUBLISH, body, content_type=FORM))

    def test_an_archive_cut_at_any_byte(self, client):
        for cut in range(len(self.ARCHIVE)):
            body = multipart([file_part(self.ARCHIVE[:cut])])
            check(client.call("POST", PUBLISH, body, content_type=FORM))

    @often
    @given(text=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda t: t.encode())))
    def test_any_manifest(self, client, text):
        for raw in (text, b'[package]\nname = "widget"\nauthor = "a"\n' + text):
            body = multipart(
                [file_part(make_zip({"package.toml": raw})), text_part("parent_version", "999")]
            )
            check(client.call("POST", PUBLISH, body, content_type=FORM))

    @seldom
    @given(text=st.binary(max_size=120))
    def test_any_history(self, client, text):
        name = "forks-of-nothing"
        members = {"package.toml": manifest(name), "HISTORY.md": b"# Package History: " + text}
        body = multipart([file_part(make_zip(members)), text_part("parent_version", "999")])
        check(client.call("POST", f"/api/packages/{name}/versions", body, content_type=FORM))


class TestHeaders:
    NAMES = (
        "Range",
        "If-Range",
        "If-None-Match",
        "If-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "Idempotency-Key",
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Content-Type",
        "Cookie",
        "Host",
        "X-Request-Id",
        "X-Forwarded-For",
        "X-CSRFToken",
        "Origin",
        "Expect",
    )
    LIKELY = (
        "bytes=0-",
        "bytes=" + "9" * 30 + "-",
        "bytes=-" + "9" * 30,
        "bytes=0-0,1-1",
        "bytes=" + "0-0," * 3000,
        '"x"',
        "W/" * 500,
        '"' * 999,
        "*",
        "Thu, 99 Jan 99999 99:99:99 GMT",
        "Thu, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "\xff",
        "",
        "q=" * 300,
        "=?utf-8?q?=00?=",
    )

    @settings(often, max_examples=300)
    @given(
        path=known_paths,
        headers=st.dictionaries(
            st.sampled_from(NAMES), st.one_of(st.sampled_from(LIKELY), header_text), max_size=4
        ),
    )
    def test_any_header_of_a_reading(self, client, path, headers):
        check(client.get(path, "*", headers=headers))

    @seldom
    @given(
        action=st.sampled_from(ACTIONS[:4]),
        name=st.sampled_from(NAMES),
        value=st.one_of(st.sampled_from(LIKELY), header_text),
    )
    def test_any_header_of_a_change(self, client, action, name, value):
        headers = {"Content-Type": "application/json", name: value}
        check(client.call(*action, b'{"name":"widget"}', headers=headers))

    @seldom
    @given(value=header_text)
    def test_any_credential(self, client, value):
        for each in (value, f"Api-Key {value}", f"Api-Key kpf_{value}"):
            response = client.get("/api/packages", "*", headers={"Authorization": each})
            check(response)
            assert response.status_int == 401
