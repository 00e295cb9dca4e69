"""What is promised in the head of an answer is there before the head is sent."""

from io import BytesIO
from types import SimpleNamespace

import pytest

from hubrepo.kernel.serving.responses import SMALL, Representation, respond

SIZE = SMALL * 3


@pytest.fixture
def request_():
    """A GET to a server that sends files itself."""
    environ = {"wsgi.file_wrapper": lambda file, _size: file}
    return SimpleNamespace(method="GET", environ=environ)


def answer(request, file, size=SIZE):
    what = Representation("0" * 64, size, None, "text/plain", "no-store")
    return respond(request, what, lambda *_: file)


@pytest.mark.parametrize("there", [SIZE - 1, SMALL, 0])
def test_a_file_that_was_cut_is_an_error_and_not_sent_short(request_, tmp_path, there):
    (tmp_path / "blob").write_bytes(bytes(there))
    file = (tmp_path / "blob").open("rb")
    with pytest.raises(EOFError):
        answer(request_, file)
    assert file.closed


def test_what_counts_is_what_is_left_of_it(request_):
    file = BytesIO(bytes(SIZE + 1))
    file.seek(2)
    with pytest.raises(EOFError):
        answer(request_, file)
    file = BytesIO(bytes(SIZE + 1))
    file.seek(1)
    assert answer(request_, file).app_iter is file
    assert file.tell() == 1
