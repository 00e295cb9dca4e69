"""A ZIP whose only member is that ZIP (after R. Cox, "Zip Files All The Way Down").

Its deflate stream is a program of two statements: put these bytes, and repeat the last so many. What it
puts is what the file begins with, itself, and what the file ends with. Its checksum, which is in it four
times, is found by linear algebra: of a file with another number in those places it changes as they do.
"""

import struct
import zlib

from tests.support.hostile.building import DATE, TIME, UNIX

# Of such lengths, both repetitions take as many bits as every other statement: forty.
NAME = b"quine/a-file-that-holds-itself-0.zip"
assert len(NAME) == 36


def _bits(*fields: tuple[int, int, bool]) -> bytes:
    """Five bytes of (value, width, whether it is a Huffman code, whose first bit goes first)."""
    text = "".join(
        f"{value:0{width}b}"[:: 1 if is_code else -1] for value, width, is_code in fields if width
    )
    assert len(text) == 40
    return int(text[::-1], 2).to_bytes(5, "little")


def _put(length: int) -> bytes:
    """The head of a stored block."""
    return struct.pack("<BHH", 0, length, length ^ 0xFFFF)


_END_OF_BLOCK = (0, 7, True)

# Twice ten bytes from twenty back: codes of length 10 (264) and of distance 17 to 24 (8).
_REPEAT_20 = _bits(
    (0, 1, False), (1, 2, False),
    *((264 - 256, 7, True), (8, 5, True), (20 - 17, 3, False)) * 2,
    _END_OF_BLOCK,
)  # fmt: skip


def _repeat(length: int, *, last: bool) -> bytes:
    """Repeat so many bytes, 68 to 115, of which the last one is 0xff: it goes as a literal."""
    first = {277: 67, 278: 83, 279: 99}
    code = max(each for each in first if first[each] <= length - 1)
    distance = 12 if length < 97 else 13
    return _bits(
        (int(last), 1, False), (1, 2, False),
        (code - 256, 7, True), (length - 1 - first[code], 4, False),
        (distance, 5, True), (length - {12: 65, 13: 97}[distance], 5, False),
        (0b111111111, 9, True), _END_OF_BLOCK,
    )  # fmt: skip


def _file(crc: int, stored_size: int, size: int) -> tuple[bytes, int]:
    """The file that tells this of itself, and how long its stream is."""
    facts = (20, 0, 8, TIME, DATE, crc, stored_size, size, len(NAME), 0)
    head = struct.pack("<4s5H3L2H", b"PK\3\4", *facts) + NAME
    line = struct.pack("<4s6H3L5H2L", b"PK\1\2", UNIX, *facts, 0, 0, 0, 0, 0) + NAME
    start = len(head) + stored_size
    tail = line + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(line), start, 1) + b"\xff"
    put_head, repeat_head = _put(len(head) + 5), _repeat(len(head) + 5, last=False)
    put_tail, repeat_tail = _put(len(tail) + 5), _repeat(len(tail) + 5, last=True)
    put_0, put_5, put_20 = _put(0), _put(5), _put(20)
    stream = b"".join([
        put_head, head, put_head,
        repeat_head,
        put_5, repeat_head,
        put_5, put_5,
        put_20, repeat_head, put_5, put_5, put_20,
        _REPEAT_20,
        put_20, _REPEAT_20, put_20, _REPEAT_20, put_20,
        _REPEAT_20,
        put_20, _REPEAT_20, put_0, put_0, put_tail,
        _REPEAT_20,
        put_0, put_0, put_tail, repeat_tail, tail,
        repeat_tail,
    ])  # fmt: skip
    return head + stream + tail, len(stream)


def quine() -> bytes:
    """The file."""
    data, stored_size = _file(0, 0, 0)

    def crc_with(crc: int) -> int:
        return zlib.crc32(_file(crc, stored_size, len(data))[0])

    zero = crc_with(0)
    # Which bits of the result each bit of the guess turns, the guess itself included.
    rows = [(crc_with(1 << bit) ^ zero ^ 1 << bit, 1 << bit) for bit in range(32)]
    wanted, crc = zero, 0
    for bit in range(32):
        pivot = next(row for row in rows if row[0] >> bit & 1)
        rows = [
            (row[0] ^ pivot[0], row[1] ^ pivot[1]) if row[0] >> bit & 1 else row
            for row in rows
            if row is not pivot
        ]
        if wanted >> bit & 1:
            wanted, crc = wanted ^ pivot[0], crc ^ pivot[1]
    assert crc_with(crc) == crc
    return _file(crc, stored_size, len(data))[0]
