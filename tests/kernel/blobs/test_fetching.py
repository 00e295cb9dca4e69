"""What is read from beyond the network is here before it is sent."""

import io

import pytest

from hubrepo.kernel.blobs import StoreUnavailable, fetching
from hubrepo.kernel.blobs.fetching import CHUNK, fetched

CONTENT = bytes(range(256)) * 4 * 1024


def test_it_is_the_same_and_nothing_is_left_open():
    source = io.BytesIO(b"before" + CONTENT)
    source.seek(6)
    with fetched(source, len(CONTENT)) as file:
        assert (file.tell(), file.read()) == (0, CONTENT)
    assert source.closed


def test_bytes_that_end_early_are_an_error():
    with pytest.raises(EOFError):
        fetched(io.BytesIO(CONTENT), len(CONTENT) + 1)


class Slow(io.BytesIO):
    """Each read of it takes a second of the clock."""

    def __init__(self, content, clock):
        super().__init__(content)
        self.clock = clock

    def read(self, size=-1):
        self.clock[0] += 1
        return super().read(size)


def test_a_store_that_is_too_slow_is_not_available(monkeypatch):
    clock, seconds = [0.0], fetching.PATIENCE + 2
    monkeypatch.setattr(fetching, "monotonic", lambda: clock[0])
    content = bytes(CHUNK * 20)
    with pytest.raises(StoreUnavailable):
        fetched(Slow(content, clock), len(content))
    assert clock[0] < seconds + len(content) / fetching.SLOWEST
