"""What a case is: an archive, a sentence about it, and what becomes of it as a package and as a page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
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
TOO_LARGE = "File size must not exceed 10 MB."


@dataclass(frozen=True)
class Case:
    """`make` makes the archive. `package` and `page` say why it is refused, None where it is not.

    `held` is what an accepted one holds besides the good files, by name; `shown`, where a page has
    other names for them.
    """

    id: str
    about: str
    make: Callable[[], bytes]
    package: str | None
    page: str | None
    held: tuple[tuple[str, bytes], ...] = ()
    shown: tuple[tuple[str, bytes], ...] | None = None

    @property
    def package_verdict(self) -> str:
        """What publishing it as a package answers, in words of the table."""
        return _verdict(self.package, "400", "invalid package - ")

    @property
    def page_verdict(self) -> str:
        """The same for a page."""
        return _verdict(self.page, "422", "invalid pages bundle - ")


def _verdict(reason: str | None, status: str, before: str) -> str:
    if reason is None:
        return "accepted"
    return f"400 {reason}" if reason == TOO_LARGE else f"{status} {before}{reason}"


def refused(
    key: str, about: str, make: Zip | Callable[[], bytes], why: str, page: str | None = None
) -> Case:
    """A case that neither takes; pages may have another reason."""
    return Case(key, about, built(make), why, why if page is None else page)


def accepted(
    key: str, about: str, make: Zip | Callable[[], bytes], *held: tuple[str, bytes]
) -> Case:
    """A case that both take."""
    return Case(key, about, built(make), None, None, held)


def built(make: Zip | Callable[[], bytes]) -> Callable[[], bytes]:
    """What makes the bytes of the file, once they are wanted."""
    return make.build if isinstance(make, Zip) else make


def beside(*parts: Part, **others: Any) -> Zip:
    """The good files, and these parts behind them."""
    return Zip((*GOOD, *parts), **others)


def before(*parts: Part, **others: Any) -> Zip:
    """The good files, and these parts in front of them."""
    return Zip((*parts, *GOOD), **others)


def cut(make: Zip, length: Callable[[bytes], int]) -> Callable[[], bytes]:
    """The file, and nothing of it from so many bytes on."""

    def short() -> bytes:
        data = make.build()
        return data[: length(data)]

    return short


def lazily(make: Callable[..., bytes], *arguments: Any) -> Callable[[], bytes]:
    """`make` of these arguments, once it is wanted."""
    return partial(make, *arguments)


Cases = Iterator[Case]
