"""No input yields a 5xx, and every refusal is one that clients can read: sections 1.1, 1.5 and 1.6."""

import json
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.artifacts import OPERATIONS, assert_readable, with_my_lib
from tests.support.contract import file_part, multipart, text_part

pytestmark = pytest.mark.long

FORM = "multipart/form-data; boundary=frontier"
ACTIONS = [(method, path.format("x")) for method, path, _ in OPERATIONS]


@pytest.fixture(scope="module")
def client(hub):
    """An admin whose organisation has `my-lib` with `v1`."""
    client = with_my_lib(hub, admin=True)
    client.put("my-lib", "v1")
    client.app.lint = False  # what no good client would send is the point
    yield client
    # Whatever was answered: nobody has spoilt what was there.
    client.call("GET", "/product/access", status=200)


def check(response):
    """A reason, where the answer is none of the hub's faults."""
    assert response.status_int < 500, response.body
    assert_readable(response)


texts = st.one_of(
    st.text(st.characters(), max_size=20),
    st.sampled_from(["\ud800", "\0", "my-lib", "v1", "a\ud83d", "\u202e", "x" * 5000, "../x"]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
FIELDS = ["name", "product", "version", "token", "permissions", "admin", "label", "download", "x"]
bodies = st.one_of(values, st.dictionaries(st.sampled_from(FIELDS), st.one_of(texts, values)))
WORDS = b"fetch delete download my-lib v1 .. \xff \0 %2f @@x".split(b" ")
segments = st.one_of(st.sampled_from([b"", *WORDS]), st.binary(max_size=8))
paths = st.tuples(
    st.sampled_from(["product", "fetch", "prune", "health", "register", "product/modify"]),
    st.lists(segments, max_size=5).map(b"/".join),
).map(lambda both: f"/{both[0]}/{quote_from_bytes(both[1], safe='/')}")
queries = st.lists(st.tuples(st.sampled_from(FIELDS), st.binary(max_size=8)), max_size=4)
methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])


@given(method=methods, path=paths, query=queries, body=st.binary(max_size=20))
def test_any_method_on_any_path(client, method, path, query, body):
    pairs = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in query)
    check(client.call(method, f"{path}?{pairs}", body))


@given(action=st.sampled_from(ACTIONS), body=bodies, cut=st.none() | st.integers(0, 60))
def test_any_value_anywhere_whole_or_damaged(client, action, body, cut):
    raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    check(client.call(*action, raw if cut is None else raw[:cut] + b"\0" + raw[cut + 1 :]))


WHOLE = multipart(
    [
        text_part("product", "my-lib"),
        text_part("version", "v1"),  # so that nothing is added
        file_part(b"content", filename="a\\b/ü.zip"),
    ]
)
edit = st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 4), st.binary(max_size=6))


@given(edits=st.lists(edit, min_size=1, max_size=5))
def test_a_form_with_any_bytes_changed(client, edits):
    body = WHOLE
    for at, removed, added in edits:
        body = body[:at] + added + body[at + removed :]
    check(client.call("POST", "/product/upload", body, content_type=FORM))
