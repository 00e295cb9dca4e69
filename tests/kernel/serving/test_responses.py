"""Ranges and conditions, as RFC 9110 has them, and what the head of an answer promises."""

import re
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.serving import disposition, lenient_disposition
from hubrepo.kernel.serving.ranges import (
    RangeNotSatisfiable,
    Slice,
    matches_any,
    matches_strongly,
    not_modified_since,
    range_still_applies,
    wanted_slice,
)
from hubrepo.kernel.serving.responses import SMALL, Representation, respond

MODIFIED = datetime(2026, 11, 21, 9, 48, 52, 68555, tzinfo=UTC)
DATE = "Sat, 21 Nov 2026 09:48:52 GMT"
SIZE = SMALL * 3


def answer(file):
    """Answer a GET to a server that sends files itself."""
    environ = {"wsgi.file_wrapper": lambda file, _size: file}
    what = Representation("0" * 64, SIZE, None, "text/plain", "no-store")
    return respond(SimpleNamespace(method="GET", environ=environ), what, lambda *_: file)


def test_a_file_that_was_cut_is_an_error_and_not_sent_short(tmp_path):
    """What counts is what is left of it."""
    for there, at in ((SIZE - 1, 0), (SMALL, 0), (0, 0), (SIZE + 1, 2)):
        (tmp_path / "blob").write_bytes(bytes(there))
        file = (tmp_path / "blob").open("rb")
        file.seek(at)
        with pytest.raises(EOFError):
            answer(file)
        assert file.closed
    file = BytesIO(bytes(SIZE + 1))
    file.seek(1)
    assert answer(file).app_iter is file
    assert file.tell() == 1


def test_what_some_misread_comes_first_without_it_and_then_exactly():
    for name, header in (
        ("a.zip", 'filename="a.zip"'),
        ("a b;c=d.zip", 'filename="a b;c=d.zip"'),
        ('a"b.zip', "filename=\"a_b.zip\"; filename*=UTF-8''a%22b.zip"),
        ("a\\b%41", "filename=\"a_b_41\"; filename*=UTF-8''a%5Cb%2541"),
        ("ü.zip", "filename=\"_.zip\"; filename*=UTF-8''%C3%BC.zip"),
        ("a\r\nX: y", "filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
    ):
        assert lenient_disposition(name) == f"attachment; {header}"


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_the_first_name_is_safe_and_the_last_is_exact(name):
    header = lenient_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    match = re.fullmatch(
        r"attachment; filename=\"([^\"\\%]*)\"(; filename\*=UTF-8''([^ ;\"]*))?", header
    )
    plain, more, exact = match.groups()
    assert len(plain) == len(name)
    assert (unquote(exact) if more else plain) == name


@given(st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda name: not name.isascii()))
def test_others_get_the_exact_name_alone(name):
    header = disposition(name)
    assert unquote(header.removeprefix("attachment; filename*=utf-8''")) == name


def test_a_range_of_ten_bytes():
    for header, expected in {
        "bytes=0-3": Slice(0, 4),
        "bytes=3-": Slice(3, 7),
        "bytes=-4": Slice(6, 4),
        "bytes=-99": Slice(0, 10),
        "bytes=8-99": Slice(8, 2),
        "BYTES=0-0": Slice(0, 1),
    }.items():
        assert wanted_slice(header, 10) == expected
    wrong = ("", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,4-5", "lines=0-3")
    for header in (None, *wrong, "bytes=٣-", "bytes=" + "9" * 400 + "-"):
        assert wanted_slice(header, 10) is None


def test_a_range_behind_the_end_cannot_be_satisfied():
    for header, size in (("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)):
        with pytest.raises(RangeNotSatisfiable):
            wanted_slice(header, size)


@given(st.text() | st.from_regex(r"bytes=[0-9]*-[0-9]*", fullmatch=True), st.integers(0, 10**9))
def test_whatever_is_asked_for_lies_within_the_file(header, size):
    try:
        part = wanted_slice(header, size)
    except RangeNotSatisfiable:
        return
    assert part is None or (0 <= part.start <= part.last < size)


def test_entity_tags_are_compared_weakly_or_strongly():
    for header in ('"a"', '"b", "a"', "*"):
        assert matches_any(header, '"a"')
        assert matches_strongly(header, '"a"')
    assert matches_any('W/"a"', '"a"')
    for header in ('"b"', "a", '"ab"', ""):
        assert not matches_any(header, '"a"')
    for header in ('"b"', "a", '"ab"', "", 'W/"a"'):
        assert not matches_strongly(header, '"a"')


def test_a_range_holds_only_for_the_bytes_it_was_meant_for():
    for header in (None, '"a"', DATE):
        assert range_still_applies(header, '"a"', MODIFIED)
    for header in ('"b"', 'W/"a"', "Sat, 21 Nov 2026 09:48:53 GMT", "yesterday"):
        assert not range_still_applies(header, '"a"', MODIFIED)


def test_a_date_is_compared_in_whole_seconds():
    assert not_modified_since(DATE, MODIFIED)
    assert not not_modified_since(DATE, None)
    for header in ("Sat, 21 Nov 2026 09:48:51 GMT", "", None, "x" * 99):
        assert not not_modified_since(header, MODIFIED)
