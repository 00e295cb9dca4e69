"""What was read lately is kept, in no more memory than was asked for, and only what is whole."""

from io import BytesIO

import pytest

from hubrepo.kernel.blobs.memory import OVERHEAD, BlobMemory


@pytest.fixture
def opened():
    """How often a file was opened."""
    return []


def read(memory, opened, key, length=4, content=b"abcd"):
    def open_file():
        opened.append(key)
        return BytesIO(content)

    return memory.read(key, length, open_file)


def test_what_was_read_is_not_read_again_and_the_oldest_gives_way(opened):
    memory = BlobMemory(2 * (OVERHEAD + 4))
    assert [read(memory, opened, "a") for _ in range(3)] == [b"abcd"] * 3
    for key in "bacb":
        read(memory, opened, key)
    assert opened == ["a", "b", "c", "b"]


def test_small_things_count_for_what_they_cost(opened):
    memory = BlobMemory(10 * (OVERHEAD + 1))
    for _ in range(2):
        for number in range(11):
            read(memory, opened, number, 1, b"x")
    assert len(opened) == 22


def test_without_room_nothing_is_kept_nor_less_than_was_asked_for(opened):
    memory = BlobMemory(0)
    for length in (0, 1, 4, 4):
        assert read(memory, opened, "k", length) == b"abcd"[:length]
    assert opened == ["k"] * 4
    memory = BlobMemory(10_000)
    assert read(memory, opened, "k", content=b"ab") == b"ab"
    assert read(memory, opened, "k") == b"abcd"
