"""What the head of an answer promises is there; the name under which it is saved is for all clients."""

import re
from io import BytesIO
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.serving import disposition, lenient_disposition
from hubrepo.kernel.serving.responses import SMALL, Representation, respond

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
