"""What may be called what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.base import is_one_line, is_slug, one_line


@pytest.mark.parametrize("slug", ["a", "acme", "a-1", "a" * 64, "0"])
def test_a_slug_is_kebab_case(slug):
    assert is_slug(slug)


@pytest.mark.parametrize(
    "slug",
    ["", " ", "-a", "a-", "A", "a b", "../x", "a/b", "a" * 65, "ä", "a\n", "me", "pages", "site", "quota",
     "6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f9619ff8b86d011b42d00c04fc964ff"],
)  # fmt: skip
def test_everything_else_is_none(slug):
    assert not is_slug(slug)


@given(st.text())
def test_one_line_is_one_line(text):
    assert is_one_line(one_line(text))
    assert len(one_line(text).splitlines()) <= 1
