"""TOML from strangers ends in a value or a ValueError, and soon."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.base import parse_toml

KIB = 1024


def read(text):
    """The document in `text`, or None for a ValueError."""
    try:
        return parse_toml(text)
    except ValueError:
        return None


def test_a_document_is_read():
    assert parse_toml('[publish]\npath = "a"\n') == {"publish": {"path": "a"}}
    assert parse_toml("x = 1.10", parse_float=str) == {"x": "1.10"}


def test_what_is_wrong_is_a_value_error():
    dotted = ".".join("a" * 40)
    for text in (
        "x = ", "x = 1\nx = 2", "x = 2026-99-99", "\ufeffx = 1", "x = " + "9" * 5000,
        "x = " + "[" * 5000, "x = " + "{a=" * 5000, "x = " + "[" * 5000 + "]" * 5000,
        ".".join("a" * 32) + ".a = 1", "[" + " . ".join("a" * 40) + "]", f"x = {{{dotted} = 1}}",
        ".".join(['"a b"'] * 40) + " = 1", ".".join(["'a.b'"] * 40) + " = 1",
    ):  # fmt: skip
        assert read(text) is None, text[:50]


def test_what_is_only_long_is_read():
    for text in (
        ".".join("a" * 30) + " = 1",
        f'x = "{"a b. " * 100}"',
        "x = 1." + "1" * 100,
        "# " + "a" * 1000,
    ):
        assert read(text) is not None


HUGE = (
    ".".join("a" * (64 * KIB)) + " = 1",
    "\n".join(f"{'.'.join('a' * 31)}.k{number} = 1" for number in range(1500)),
    "a " * (64 * KIB), "a" * (128 * KIB), "a" + " " * (128 * KIB), '"' * (128 * KIB), "'\"" * (64 * KIB),
    '"\\' * (64 * KIB), "a. " * 31 + " " * (64 * KIB), ("a." * 31 + " ") * 2000,
    "x = [" + "[]," * (32 * KIB) + "]", "[a]\n" + "[[b]]\n" * 10_000, "x = '''" + "\n" * (128 * KIB),
)  # fmt: skip


def test_what_is_as_large_as_a_manifest_may_be_is_read_or_a_value_error():
    assert [read(text) is None for text in HUGE].count(False) >= 2


@pytest.mark.stress
@pytest.mark.serial
def test_nothing_that_a_manifest_may_hold_takes_long():
    """The bound is ten times what the slowest of them takes."""
    for text in HUGE:
        started = process_time()
        read(text)
        assert process_time() - started < 2


@given(st.text(alphabet="ab.=[]{}\"'\\#\n \t0_-,", max_size=80))
def test_any_text_is_read_or_a_value_error(text):
    assert read(text) is None or isinstance(read(text), dict)
