"""Sites whose every file names its page and generation, and visits of them."""

import hashlib
import random
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import combinations

from tests.support.process import Answer, Wire

IDENTITY = {"Accept-Encoding": "identity"}
CODINGS = ({"Accept-Encoding": "gzip"}, IDENTITY)
LINES, NOISE = 100, 150_000


class NotWhole(AssertionError):
    """A body that is no file of the page, or is cut, or is put together of several."""


@dataclass(frozen=True)
class Site:
    """The site of the page at `path`: `files` of some KiB each, half of them deflated, then `large` ones.

    Large ones are too large to be read at once, and do not deflate. Sites with the same `label`, by
    default the path, have the same archives.
    """

    path: str
    files: int = 12
    large: int = 1
    label: str = ""

    @property
    def names(self) -> list[str]:
        """The names of its files. Some lie where a page below this one would have its own."""
        folders = ("", "b/", "b/c/")
        small = (f"{folders[n % 3]}{n // 3:03}.txt" for n in range(self.files - 1))
        return ["index.html", *small, *(f"large-{number}.bin" for number in range(self.large))]

    def content(self, name: str, generation: int) -> bytes:
        """Return a file: its first line has the generation, and every other depends on it."""
        line = f"{generation} {self.label or self.path} {name}\n"
        if not name.startswith("large-"):
            return (line * LINES).encode()
        return line.encode() + random.Random(line).randbytes(NOISE)

    def archive(self, generation: int) -> bytes:
        """Return all files of one generation. The same generation is the same bytes."""
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for number, name in enumerate(self.names):
                info = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
                info.compress_type = zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED
                archive.writestr(info, self.content(name, generation))
        return buffer.getvalue()

    @cache  # noqa: B019 - sites are few
    def content_hash(self, generation: int) -> str:
        return hashlib.sha256(self.archive(generation)).hexdigest()

    def generation(self, name: str, body: bytes) -> int:
        """Return the generation of a body. Raise NotWhole unless all of it is of that one."""
        words = body.partition(b"\n")[0].split()
        generation = int(words[0]) if words and words[0].isdigit() else 0
        if body != self.content(name, generation):
            raise NotWhole(self.path, name, words, len(body))
        return generation


def visit(wire: Wire, url: str, headers: Mapping[str, str] = IDENTITY) -> Answer:
    """Return an answer with its body decoded, as a browser does."""
    answer = wire.ask("GET", url, headers=headers)
    if "content-encoding" not in answer.headers:
        return answer
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    body = decoder.decompress(answer.body)
    if not decoder.eof or decoder.unused_data:
        raise NotWhole(url, "gzip")
    return Answer(answer.status, answer.headers, body)


def check_site(wire: Wire, site: Site, generation: int, base: str = "/pages/acme") -> None:
    """Check that every file of the page is there in both codings, whole and of that generation."""
    for name in site.names:
        for headers in CODINGS:
            answer = visit(wire, f"{base}/{site.path}/{name}", headers)
            assert answer.status == 200, (site.path, name, answer.status)
            assert site.generation(name, answer.body) == generation, (site.path, name)


def check_gone(wire: Wire, site: Site, base: str = "/pages/acme") -> None:
    """Check that no file of the page is there."""
    for name in ("", *site.names):
        assert wire.ask("GET", f"{base}/{site.path}/{name}").status == 404, (site.path, name)


def overlaps(paths: Collection[str]) -> list[tuple[str, str]]:
    """Return the pairs of paths of which one lies above the other."""
    pairs = combinations(paths, 2)
    return [(a, b) for a, b in pairs if a.startswith(f"{b}/") or b.startswith(f"{a}/")]
