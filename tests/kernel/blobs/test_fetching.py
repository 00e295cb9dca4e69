"""What is read from beyond the network is here before it is sent, and small files stay in memory."""

import io
import resource
from contextlib import contextmanager

import pytest

from hubrepo.kernel.blobs import StoreUnavailable, fetching
from hubrepo.kernel.blobs.fetching import CHUNK, PATIENCE, fetched
from hubrepo.kernel.blobs.memory import OVERHEAD, BlobMemory
from hubrepo.kernel.serving.files import is_remote

CONTENT = b"".join(bytes([number]) * CHUNK for number in range(20))


@contextmanager
def files_of_at_most(size):
    """Longer ones cannot be written, as on a disk that is full: the last write is cut short."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_what_does_not_fit_on_the_disk_or_ends_early_is_an_error_and_not_sent_short():
    for missing in (1, 1000, CHUNK, CHUNK + 1):
        source = io.BytesIO(CONTENT)
        with files_of_at_most(len(CONTENT) - missing), pytest.raises(StoreUnavailable):
            fetched(lambda source=source: source, len(CONTENT))
        assert source.closed
    with pytest.raises(EOFError):
        fetched(lambda: io.BytesIO(CONTENT), len(CONTENT) + 1)


@pytest.fixture
def clock(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(fetching, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.parametrize(("seconds", "is_slow"), [(0.1, False), (1, True)])
def test_what_comes_slowly_is_sent_as_it_comes_by_a_thread_that_may_wait(clock, seconds, is_slow):
    """What is fast enough is here at once, and nothing is left open."""

    class Slow(io.BytesIO):
        def read(self, size=-1):
            clock[0] += seconds
            return super().read(size)

    source = Slow(b"before" + CONTENT + b"behind")
    source.seek(6)
    file = fetched(lambda: source, len(CONTENT))
    assert clock[0] <= PATIENCE
    assert (is_remote(file), source.closed) == (is_slow, not is_slow)
    assert b"".join(iter(lambda: file.read(CHUNK), b""))[: len(CONTENT)] == CONTENT
    file.close()
    assert source.closed


def test_the_time_to_open_it_counts(clock):
    source = io.BytesIO(CONTENT)

    def open_file():
        clock[0] += PATIENCE
        return source

    file = fetched(open_file, len(CONTENT))
    assert (is_remote(file), source.tell()) == (True, 0)
    file.close()


class Reader:
    """Reads through a memory of so many bytes, and notes what it opened."""

    def __init__(self, size):
        self.memory, self.opened = BlobMemory(size), []

    def read(self, key, length=4, content=b"abcd"):
        return self.memory.read(key, length, lambda: self.opened.append(key) or io.BytesIO(content))


def test_what_was_read_is_not_read_again_and_the_oldest_gives_way():
    reader = Reader(2 * (OVERHEAD + 4))
    assert [reader.read(key) for key in "aaabacb"] == [b"abcd"] * 7
    assert reader.opened == ["a", "b", "c", "b"]


def test_small_things_count_for_what_they_cost():
    reader = Reader(10 * (OVERHEAD + 1))
    for number in [*range(11), *range(11)]:
        reader.read(number, 1, b"x")
    assert len(reader.opened) == 22


def test_without_room_nothing_is_kept_nor_less_than_was_asked_for():
    reader = Reader(0)
    assert [reader.read("k", length) for length in (0, 1, 4, 4)] == [b"", b"a", b"abcd", b"abcd"]
    assert reader.opened == ["k"] * 4
    reader = Reader(10_000)
    assert (reader.read("k", content=b"ab"), reader.read("k")) == (b"ab", b"abcd")
