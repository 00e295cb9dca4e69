"""What a copy says of itself: when it was made, of what, and the digest of each of its parts."""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from lzma import LZMAError
from typing import Any, BinaryIO, NamedTuple, Self
from zipfile import BadZipFile

import orjson

from hubrepo.kernel.transfer.errors import CopyDamaged, NotACopy

FORMAT = 1

# No row is longer, and no manifest: what is, was made to fill the memory of whoever reads it.
LONGEST = 64 * 1024**2


class TableFacts(NamedTuple):
    """The rows of a table in a copy: how many, the SHA-256 of their text, the last `id` given out."""

    rows: int
    sha256: str
    last_id: int = 0


@dataclass(frozen=True)
class Manifest:
    """What is in a copy of that `kind`. `heads` are the migrations that its rows are shaped by.

    `rows` is where they lie. `damaged` are blobs that it does not have, for they were lost before it
    was made.
    """

    kind: str
    made_at: str
    heads: Sequence[str]
    rows: str
    tables: Mapping[str, TableFacts]
    blobs: int
    size: int
    damaged: Sequence[str] = ()
    about: Mapping[str, str] = field(default_factory=dict)

    def dump(self) -> bytes:
        """JSON that carries its own digest."""
        value = {"format": FORMAT, **asdict(self)}
        value["tables"] = {name: each._asdict() for name, each in self.tables.items()}
        return orjson.dumps({**value, "sha256": _digest(value)}, option=orjson.OPT_INDENT_2)

    @classmethod
    def load(cls, data: bytes, kind: str) -> Self:
        """What `dump` wrote. Raises NotACopy."""
        try:
            value = orjson.loads(data)
            sha256, version = value.pop("sha256"), value.get("format")
            if version != FORMAT:
                raise NotACopy(f"it is of format {version}, and this hub reads format {FORMAT}")
            if sha256 != _digest(value):
                raise NotACopy("its manifest is damaged")
            del value["format"]
            value["tables"] = {name: TableFacts(**each) for name, each in value["tables"].items()}
            found = cls(**value)
            found.check_types()
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
            raise NotACopy("its manifest cannot be read") from None
        if found.kind != kind:
            raise NotACopy(f"it is a copy of another kind: {found.kind}")
        return found

    def check_types(self) -> None:
        """Raises TypeError. What comes from elsewhere may be anything."""
        names = (self.kind, self.made_at, self.rows, *self.about, *self.about.values())
        texts = (*names, *self.heads, *self.damaged, *self.tables)
        numbers = (
            self.blobs,
            self.size,
            *(n for t in self.tables.values() for n in (t.rows, t.last_id)),
        )
        if isinstance(self.heads, str) or not all(isinstance(each, str) for each in texts):
            raise TypeError
        if not all(isinstance(each, int) for each in numbers):
            raise TypeError


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


# What reading raises where a copy, packed as gzip or ZIP, is not what was written.
UNREADABLE = (
    BadZipFile,
    EOFError,
    KeyError,
    LZMAError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


class Rows:
    """Lines of rows on their way into a copy, or out of it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def write(self, lines: Iterable[bytes], file: BinaryIO) -> "Rows":
        """Write all `lines`."""
        for line in lines:
            self._hash.update(line)
            file.write(line)
            self.count += 1
        return self

    def facts(self, last_id: int = 0) -> TableFacts:
        """What was written."""
        return TableFacts(self.count, self._hash.hexdigest(), last_id)

    def read(self, name: str, file: BinaryIO, expected: TableFacts) -> Iterator[dict[str, Any]]:
        """The rows of the table `name`. Raises CopyDamaged, at the end at the latest."""
        damaged = CopyDamaged(f"the rows of {name} in the copy are damaged")
        try:
            while line := file.readline(LONGEST):
                self._hash.update(line)
                self.count += 1
                if self.count > expected.rows or not line.endswith(b"\n"):
                    raise damaged
                yield orjson.loads(line)
        except UNREADABLE:
            raise damaged from None
        if self.facts(expected.last_id) != expected:
            raise damaged
