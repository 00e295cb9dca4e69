"""A JSON body is read as far as anybody needs it, whatever its type says."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob import Request

from hubrepo.kernel.base import Invalid
from hubrepo.kernel.web import read_json
from hubrepo.kernel.web.bodies import MAX_VALUES, BodyTooLarge

LIMIT = 1000


def sent(body, **environ):
    return Request.blank("/", method="PUT", body=body, environ=environ)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=9,
)


@given(value=json_values, kind=st.sampled_from(["", "text/plain", "application/json"]))
def test_any_value_of_any_type_is_what_was_sent(value, kind):
    raw = json.dumps(value).encode()
    assert read_json(sent(raw, CONTENT_TYPE=kind), len(raw)) == value


def test_a_number_without_a_fraction_is_an_integer_however_it_is_written():
    for text, value in {
        "2.0": 2,
        "-0.0": 0,
        "2e3": 2000,
        "1.5": 1.5,
        "1e999": float("inf"),
    }.items():
        read = read_json(sent(text.encode()), LIMIT)
        assert (read, type(read)) == (value, type(value))


def test_no_body_is_no_value():
    assert read_json(sent(b""), LIMIT) is None


def test_a_request_that_is_tried_again_says_the_same_again():
    request = sent(b'{"a": 1}')
    assert read_json(request, LIMIT) == read_json(request, LIMIT) == {"a": 1}


def test_what_is_no_json_is_invalid():
    for body in (
        b"{", b" ", b"nul", b"{'a': 1}", b"[1,]", b"\xff", b'"\\ud800"', b"NaN", b"[Infinity]",
        b"[" * 900, b"[" + b"0," * MAX_VALUES + b"0]", "\ufeff{}".encode(),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="JSON"):
            read_json(sent(body), len(body))


def test_a_body_over_the_limit_is_not_read():
    class Unread(io.BytesIO):
        def read(self, *_):
            raise AssertionError("somebody reads")

    request = sent(b"")
    request.environ |= {"CONTENT_LENGTH": str(LIMIT + 1), "wsgi.input": Unread()}
    with pytest.raises(BodyTooLarge, match=str(LIMIT)):
        read_json(request, LIMIT)
    assert read_json(sent(b" " * (LIMIT - 1) + b"1"), LIMIT) == 1
