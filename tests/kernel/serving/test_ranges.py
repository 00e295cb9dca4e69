"""Ranges and conditions, as RFC 9110 has them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.serving.ranges import (
    RangeNotSatisfiable,
    Slice,
    matches_any,
    matches_strongly,
    not_modified_since,
    range_still_applies,
    wanted_slice,
)

MODIFIED = datetime(2026, 11, 21, 9, 48, 52, 68555, tzinfo=UTC)
DATE = "Sat, 21 Nov 2026 09:48:52 GMT"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-3", Slice(0, 4)),
        ("bytes=3-", Slice(3, 7)),
        ("bytes=-4", Slice(6, 4)),
        ("bytes=-99", Slice(0, 10)),
        ("bytes=8-99", Slice(8, 2)),
        ("BYTES=0-0", Slice(0, 1)),
        (None, None),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=a-b", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-3", None),
        ("bytes=٣-", None),
        ("bytes=" + "9" * 400 + "-", None),
    ],
)
def test_a_range_of_ten_bytes(header, expected):
    assert wanted_slice(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header):
    with pytest.raises(RangeNotSatisfiable):
        wanted_slice(header, 10)


def test_nothing_in_an_empty_file_can_be_satisfied():
    with pytest.raises(RangeNotSatisfiable):
        wanted_slice("bytes=0-", 0)


@given(st.text() | st.from_regex(r"bytes=[0-9]*-[0-9]*", fullmatch=True), st.integers(0, 10**9))
def test_whatever_is_asked_for_lies_within_the_file(header, size):
    try:
        part = wanted_slice(header, size)
    except RangeNotSatisfiable:
        return
    assert part is None or (0 <= part.start <= part.last < size)


@pytest.mark.parametrize(
    ("header", "weak", "strong"),
    [
        ('"a"', True, True),
        ('"b", "a"', True, True),
        ('W/"a"', True, False),
        ("*", True, True),
        ('"b"', False, False),
        ("a", False, False),
        ('"ab"', False, False),
        ("", False, False),
    ],
)
def test_entity_tags_are_compared_weakly_or_strongly(header, weak, strong):
    assert matches_any(header, '"a"') is weak
    assert matches_strongly(header, '"a"') is strong


@pytest.mark.parametrize(
    ("header", "applies"),
    [
        (None, True),
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        (DATE, True),
        ("Sat, 21 Nov 2026 09:48:53 GMT", False),
        ("yesterday", False),
    ],
)
def test_a_range_holds_only_for_the_bytes_it_was_meant_for(header, applies):
    assert range_still_applies(header, '"a"', MODIFIED) is applies


@pytest.mark.parametrize(
    ("header", "fresh"),
    [
        (DATE, True),
        ("Sat, 21 Nov 2026 09:48:51 GMT", False),
        ("", False),
        (None, False),
        ("x" * 99, False),
    ],
)
def test_a_date_is_compared_in_whole_seconds(header, fresh):
    assert not_modified_since(header, MODIFIED) is fresh
    assert not_modified_since(header, None) is False
