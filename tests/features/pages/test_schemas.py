"""The paths, numbers and reasons that requests name: taken as they are, or refused in the contract's words."""

import pytest

from hubrepo.features.pages.errors import BadPath
from hubrepo.features.pages.schemas import (
    MAX_REASON,
    manifest_path,
    path_in_url,
    publication_wish,
    unpublish_reason,
)
from hubrepo.kernel.base import Invalid

GOOD = """
    x a/b a-b a_b a.b 0 - _ a/.hidden a/..b a. a.. a/... index.html a/index.html pages.toml api/pages
    1/2/3/4/5/6/7/8
"""

NOT_NORMAL = """
    / /x x/ . .. ./x ../x x/.. x/../y x/./y a//b a/b/../../../c .x ..x // A/../b a/.. a/. a'/
"""

BAD_SEGMENTS = {
    "A/b": "A", "a/B/C": "B", "a b": "a b", "a/ b": " b", "ü": "ü", "a/u\u0308": "u\u0308", "a\\b": "a\\b",
    "a\nb": "a\nb", "a\0b": "a\0b", "a\u200bb": "a\u200bb", "٣": "٣", "a%20b": "a%20b", "a@b/c": "a@b",
    "@@x": "@@x", "😀": "😀", "a'b": "a'b", "a'\"b": "a'\"b",
}  # fmt: skip

TOO_LONG, TOO_DEEP = "publish path too long", "publish path too deep"
REFUSED = {
    **{path: f"invalid publish path: {path!r}" for path in NOT_NORMAL.split()},
    **{path: f"invalid path segment: {bad!r}" for path, bad in BAD_SEGMENTS.items()},
    # The rules are checked in this order.
    "/" + "a" * 300: f"invalid publish path: '/{'a' * 119}…'",
    "a" * 256: TOO_LONG,
    "A" * 256: TOO_LONG,
    "/".join("a" * 200): TOO_LONG,
    "1/2/3/4/5/6/7/8/9": TOO_DEEP,
    "A/2/3/4/5/6/7/8/9": TOO_DEEP,
}


def refusal(read, text):
    with pytest.raises(BadPath) as caught:
        read(text)
    return caught.value.message


@pytest.mark.parametrize("read", [manifest_path, path_in_url])
def test_a_path_is_taken_or_refused_alike_in_a_manifest_and_in_a_url(read):
    for path in (*GOOD.split(), "a" * 255):
        assert read(path) == path
    for path, message in REFUSED.items():
        assert refusal(read, path) == message
    for blank in ("", " ", "\n"):
        assert refusal(read, blank) == "pages.toml missing [publish].path"


def test_white_space_around_a_path_is_trimmed_in_a_manifest_only():
    for blank in (" ", "\t", "\n", "\r\n", "  \n"):
        assert manifest_path(f"{blank}a/b{blank}") == "a/b"
    assert refusal(manifest_path, " /x\n") == r"invalid publish path: ' /x\n'"
    for path in (" x", "x "):
        assert refusal(path_in_url, path) == f"invalid path segment: {path!r}"


@pytest.mark.parametrize("value", [None, 7, 1.5, True, [], ["x"], {}])
def test_a_path_in_a_manifest_is_text(value):
    assert refusal(manifest_path, value) == "pages.toml missing [publish].path"


def test_a_publication_is_named_by_a_positive_integer():
    for value in (1, "1", 999_999_999):
        assert publication_wish({"publication": value}) == int(value)
    for body in ({}, [], None, 1, "1", {"version": 1}):
        with pytest.raises(Invalid, match="body must include 'publication'"):
            publication_wish(body)
    for value in (None, "", "x", 0, -1, 1.5, True, [], {}, [1], "٣", "1e3", 10**30, "-1", "9" * 30):
        with pytest.raises(Invalid, match="'publication' must be a positive integer"):
            publication_wish({"publication": value})


def test_a_reason_is_text_of_a_limited_length_or_ignored():
    assert unpublish_reason({"reason": "leaked ü"}) == "leaked ü"
    assert unpublish_reason({"reason": "x" * 9000}) == "x" * MAX_REASON
    for body in (None, [], "reason", {}, {"reason": 7}, {"reason": None}, {"reason": "a\0b"}):
        assert unpublish_reason(body) == ""
