"""A file that can be made only from front to back is sent by waitress as any other is."""

import io
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.buffers import ReadOnlyFileBasedBuffer

from hubrepo.kernel.archives import inflated
from hubrepo.kernel.serving.files import CHUNK, OneWayFile, cut, pieces_of

MIB = 1024**2

PIECES = st.lists(st.binary(min_size=1, max_size=9), max_size=9)

# What waitress's channel does with a file: look at what comes next, then go on as far as it was sent.
STEPS = st.lists(
    st.tuples(st.sampled_from(["look", "take", "send", "prepare"]), st.integers(-1, 40)),
    max_size=20,
)


def one_way(pieces, size=None, close=lambda: None):
    return OneWayFile(iter(pieces), sum(map(len, pieces)) if size is None else size, close)


def sent(file, size, steps):
    """Everything that waitress reads of `file`, and where it then is."""
    buffer = ReadOnlyFileBasedBuffer(file)
    seen = [buffer.prepare(size)]
    for step, number in steps:
        if step == "prepare":
            seen.append(buffer.prepare(size))
        elif step == "send":
            seen.append(chunk := buffer.get(max(number, 0)))
            buffer.skip(len(chunk) // 2)
        else:
            seen.append(buffer.get(number, skip=step == "take"))
        seen.append((len(buffer), buffer.tell()))
    return seen


@given(PIECES, STEPS, st.none() | st.integers(0, 99))
def test_waitress_reads_it_as_it_reads_a_file_in_memory(pieces, steps, size):
    whole = b"".join(pieces)
    assert sent(one_way(pieces), size, steps) == sent(io.BytesIO(whole), size, steps)


def test_before_what_was_read_last_there_is_no_way_back():
    file = one_way([b"0123456789"])
    assert (file.read(4), file.read(2), file.seek(4), file.read(2)) == (b"0123", b"45", 4, b"45")
    for place in (0, 3):
        file.seek(place)
        with pytest.raises(io.UnsupportedOperation):
            file.read(1)
    file.seek(6)
    assert file.read() == b"6789"


def test_an_end_that_comes_early_is_an_error_and_not_a_short_answer():
    file = one_way([b"abc"], size=5)
    assert file.read(3) == b"abc"
    for read in (lambda: file.read(1), lambda: list(pieces_of(io.BytesIO(b"abc"), 4))):
        with pytest.raises(EOFError):
            read()


def test_what_lies_below_is_closed_once_and_also_when_nobody_reads_to_the_end():
    closed = []
    file = one_way([b"abc"], close=lambda: closed.append(1))
    ReadOnlyFileBasedBuffer(file).close()
    file.close()
    with one_way([b"abc", b"def"], close=lambda: closed.append(2)) as file:
        file.read(1)
    assert closed == [1, 2]


@given(PIECES, st.data())
def test_a_part_is_cut_out_of_pieces_as_out_of_the_whole(pieces, data):
    whole = b"".join(pieces)
    start = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - start))
    assert b"".join(cut(iter(pieces), start, length)) == whole[start : start + length]


def test_pieces_are_just_the_bytes_that_were_asked_for_and_none_is_made_behind_them():
    pieces = iter([b"abc", b"def", b"ghi"])
    assert list(cut(pieces, 1, 4)) == [b"bc", b"de"]
    assert next(pieces) == b"ghi"
    content = bytes(range(251)) * (3 * CHUNK // 251)
    for length in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7):
        pieces = list(pieces_of(io.BytesIO(content), length))
        assert b"".join(pieces) == content[:length]
        assert all(0 < len(piece) <= CHUNK for piece in pieces)


def test_a_large_inflated_file_is_never_in_memory():
    size = 16 * MIB
    stored = zlib.compress(bytes(size), wbits=-zlib.MAX_WBITS)
    file = OneWayFile(inflated(pieces_of(io.BytesIO(stored), len(stored)), size), size, lambda: 0)
    buffer = ReadOnlyFileBasedBuffer(file)
    tracemalloc.start()
    left = buffer.prepare(size)
    while chunk := buffer.get(32_768):
        # The socket takes a little less than it was offered.
        taken = min(len(chunk), 30_000)
        buffer.skip(taken)
        left -= taken
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert left == 0
    assert peak < 2 * MIB
