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
