"""What may be called what."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.base import (
    Invalid,
    has_many_marks,
    is_one_line,
    is_slug,
    nfc,
    one_line,
    shown,
    shown_list,
)


def test_a_slug_is_kebab_case():
    for slug in ("a", "acme", "a-1", "a" * 64, "0"):
        assert is_slug(slug)
    for slug in (
        "", " ", "-a", "a-", "A", "a b", "../x", "a/b", "a" * 65, "ä", "a\n", "me", "pages", "site", "quota",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f9619ff8b86d011b42d00c04fc964ff",
    ):  # fmt: skip
        assert not is_slug(slug), slug


@given(st.text())
def test_one_line_is_one_line(text):
    assert is_one_line(one_line(text))
    assert len(one_line(text).splitlines()) <= 1


def test_more_accents_than_a_letter_has_are_no_name():
    for text in (
        "\u0301" * 31, "e" + "\u0301\u0323" * 16, "\u0f73" * 31, "x" * 99 + "\u0f71\u0f73\u0f81" * 11 + "x",
    ):  # fmt: skip
        assert has_many_marks(text)
        with pytest.raises(Invalid, match="more than 30 accents in a row"):
            nfc(text)


def test_whatever_languages_have_is_brought_into_normal_form():
    for letters in ("", "é", "e\u0301", "漢字", "\U0001f600", "के"):
        assert not has_many_marks(letters * 99)
        assert nfc(nfc(letters * 99)) == nfc(letters * 99)
    assert not has_many_marks("\u0301" * 30)


@pytest.mark.stress
@pytest.mark.serial
def test_it_takes_no_long_to_tell():
    for text in ("\u0301\u0323" * 500_000, "\u0f73" * 1_000_000, "漢" * 1_000_000):
        before = time.process_time()
        has_many_marks(text)
        assert time.process_time() - before < 2


def test_what_is_shown_is_quoted_cut_and_on_one_line():
    assert shown("it") == "'it'"
    assert shown("a\nb") == r"'a\nb'"
    assert shown("x" * 120) == f"'{'x' * 120}'"
    assert shown("x" * 9_000_000) == f"'{'x' * 120}…'"


def test_what_is_shown_has_no_secret_in_it_not_even_half_of_one():
    key = "kpf_0123abcd_" + "s3cret" * 8
    assert shown(f"<{key}>") == "'<kpf_0123abcd_…>'"
    for before in range(60, 130):
        assert "_s3" not in shown("." * before + key)


def test_of_many_texts_the_first_are_shown():
    assert shown_list([]) == "[]"
    assert shown_list(["a", "b'"]) == """['a', "b'"]"""
    assert shown_list(["x" * 999] * 9) == f"[{', '.join([shown('x' * 999)] * 8)}, …]"
