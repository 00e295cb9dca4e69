"""What is read from beyond the network is here before it is sent."""

import io
import resource
from contextlib import contextmanager

import pytest

from hubrepo.kernel.blobs import StoreUnavailable, fetching
from hubrepo.kernel.blobs.fetching import CHUNK, PATIENCE, fetched
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
