"""The name under which something is saved, for all clients and for old ones."""

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.serving import disposition, lenient_disposition


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
