"""Cases: an archive, a sentence about it, and what becomes of it as a package and as a page.

The modules beside this one list them in tables of reason → "id: sentence" → archive.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.hostile.building import Part, Zip

PATH = "hostile"
MANIFEST = f'[package]\nname = "{PATH}"\nauthor = "ann"\n'.encode()
PAGES = f'[publish]\npath = "{PATH}"\n'.encode()
INDEX = b"<h1>Nothing to see</h1>\n"

# What makes a package of an archive, and a page.
GOOD = (Part(b"package.toml", MANIFEST), Part(b"pages.toml", PAGES), Part(b"index.html", INDEX))

NOT_A_ZIP = "file is not a valid ZIP"
MORE = "the file holds more than the archive's directory tells of"
NO_MANIFEST, NO_PAGES = "missing `package.toml` file", "missing top-level `pages.toml`"
TOO_LARGE = "File size must not exceed 10 MB."

# A part is put behind the good files.
Archive = Part | Zip | Callable[[], bytes]
Table = Mapping[str, Archive]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Case:
    """An archive, which `make` makes. `package` and `page` say why it is refused, None where it is not.

    `held` is what an accepted package holds besides the good files, and `shown` the same of a page; None
    where nobody looks.
    """

    id: str
    about: str
    make: Callable[[], bytes]
    package: str | None
    page: str | None
    held: Files | None = None
    shown: Files | None = None


def case(
    title: str,
    archive: Archive,
    package: str | None,
    page: str | None,
    held: Files | None = None,
    shown: Files | None = None,
) -> Case:
    """Return the case of this "id: sentence"."""
    key, _, about = title.partition(": ")
    whole = beside(archive) if isinstance(archive, Part) else archive
    make = whole.build if isinstance(whole, Zip) else whole
    return Case(key, about, make, package, page, held, shown)


def refused(tables: Mapping[str, Table]) -> Iterator[Case]:
    """Yield a case for each archive of these tables; it is refused for the reason of its table."""
    for why, table in tables.items():
        for title, archive in table.items():
            yield case(title, archive, why, why)


def accepted(table: Mapping[str, Archive | tuple[Part, str]]) -> Iterator[Case]:
    """Yield a case for each archive; a part may come with a name other than the one in its bytes."""
    for title, row in table.items():
        archive, name = row if isinstance(row, tuple) else (row, None)
        parts: Iterable[Part] = (archive,) if isinstance(archive, Part) else ()
        if isinstance(archive, Zip):
            parts = (part for part in archive.parts if part not in GOOD)
        held = {name or part.name.decode(): part.content for part in parts}
        known = None if callable(archive) else held
        yield case(title, archive, None, None, known, known)


def beside(*parts: Part, **others: Any) -> Zip:
    """The good files, and these parts behind them."""
    return Zip((*GOOD, *parts), **others)


def before(*parts: Part, **others: Any) -> Zip:
    """The good files, and these parts in front of them."""
    return Zip((*parts, *GOOD), **others)


Cases = Iterator[Case]
