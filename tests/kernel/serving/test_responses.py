"""What is promised in the head of an answer is there before the head is sent."""

from io import BytesIO
from types import SimpleNamespace

import pytest

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
