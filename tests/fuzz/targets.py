"""What is fuzzed: functions of bytes, each of which fails for what must not be.

A refusal that is documented is fine, any other error is found. What is taken must hold what its reader
promises.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from webob import Request

from hubrepo.features.packages.errors import InvalidPackage
from hubrepo.features.packages.history import Chapter, Claim, Entry, read_claim, render
from hubrepo.features.packages.manifest import InvalidManifest, read_manifest, stamp
from hubrepo.features.pages.bundles import Bundle
from hubrepo.features.pages.conventions import BadRule, read_rules
from hubrepo.features.pages.errors import BadPath, InvalidBundle
from hubrepo.features.pages.rules import Rules
from hubrepo.features.pages.schemas import PublishWish
from hubrepo.kernel.archives import Archive, ArchiveLimits, ArchiveRefused, ArchiveWriter
from hubrepo.kernel.base import Invalid, UnsupportedMedia
from hubrepo.kernel.serving.extents import accepts_gzip
from hubrepo.kernel.serving.ranges import (
    RangeNotSatisfiable,
    matches_any,
    matches_strongly,
    not_modified_since,
    range_still_applies,
    wanted_slice,
)
from hubrepo.kernel.web.bodies import UploadSettings, read_form
from tests.support.hostile import CASES, MANIFEST, PAGES
from tests.support.hostile.building import Part, Zip
from tests.support.hostile.publishing import NOON, Sheet, package_of, page_of
from tests.support.walker import walk

Target = Callable[[bytes], None]

MIB = 1024**2
LIMITS = ArchiveLimits(max_members=200, max_expanded=4 * MIB)


class Dice:
    """Bytes as a source of choices; zeros, once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def number(self, below: int) -> int:
        """A number from 0 on."""
        length = (max(below - 1, 1).bit_length() + 7) // 8
        return int.from_bytes(self._file.read(length), "little") % below

    def pick(self, *choices: Any) -> Any:
        """One of them."""
        return choices[self.number(len(choices))]

    def text(self) -> bytes:
        """Some bytes."""
        return self._file.read(self.number(32))

    def rest(self) -> bytes:
        """All that is left."""
        return self._file.read()


def check_told(refusal: Exception) -> None:
    """A refusal does not send back what it refuses."""
    assert len(str(refusal)) < 3000


# --- Archives ----------------------------------------------------------------------------------


def archives(data: bytes) -> None:
    """An archive that is taken is written again as everybody reads it."""
    try:
        archive = Archive.read_from(io.BytesIO(data), LIMITS)
        contents = [(each.name, archive.read(each, 4 * MIB)) for each in archive.members]
    except ArchiveRefused as refusal:
        check_told(refusal)
        return
    written = rewritten(archive)
    assert [tuple(each) for each in walk(written)] == contents
    assert list(by_zipfile(written)) == contents
    assert rewritten(Archive.read_from(io.BytesIO(written), LIMITS)) == written
    try:
        theirs = [content for _, content in by_zipfile(data)]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return
    assert theirs == [content for _, content in contents]


def rewritten(archive: Archive) -> bytes:
    """A copy of all its members."""
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    for member in archive.members:
        writer.copy(archive, member)
    writer.finish()
    return sink.getvalue()


def by_zipfile(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What Python's own reader finds."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            yield info.filename, archive.read(info)


def uploads(data: bytes) -> None:
    """What is taken as a package is served in one form, with its manifest; a page knows all its files."""
    try:
        served = package_of(data, LIMITS)
    except (InvalidPackage, InvalidManifest):
        pass
    else:
        members = dict(walk(served))
        assert dict(by_zipfile(served)) == members
        assert b"# History\n" in members.values()
    try:
        files = page_of(data, LIMITS, path="fuzz")
    except (InvalidBundle, BadPath):
        return
    assert all(".." not in name.split("/") for name in files)


def built(data: bytes) -> None:
    """Archives that are put together by dice, each field of them true or not."""
    dice = Dice(data)
    parts = [Part(b"package.toml", MANIFEST), Part(b"pages.toml", PAGES)]
    parts += [_part(dice) for _ in range(dice.number(5))]
    whole = Zip(
        parts,
        before=dice.pick(b"", b"", dice.text()),
        gap=dice.pick(b"", b"", dice.text()),
        comment=dice.pick(b"", b"", dice.text()),
        after=dice.pick(b"", b"", dice.text()),
        is_wide=dice.pick(False, True),
        knows_before=dice.pick(False, True),
        end=_bent(dice, "total", "total_here", "size", "offset", "comment_length"),
        end64=_bent(dice, "total", "total_here", "size", "offset"),
        locator=_bent(dice, "offset", "disks"),
    ).build()
    archives(whole)
    uploads(whole)


def _part(dice: Dice) -> Part:
    name, content = dice.pick(b"a", b"A/b", b"c/", b"d", dice.text()), dice.text()
    fields = ("flags", "crc", "stored_size", "size", "method", "needs", "date", "extra_length")
    return Part(
        name,
        b"" if name.endswith(b"/") else content,
        dice.pick(0, 8),
        stored=dice.pick(None, None, None, dice.text()),
        extra=dice.pick(b"", b"", dice.text()),
        comment=dice.pick(b"", b"", dice.text()),
        behind=dice.pick(b"", b"", dice.text()),
        local=_bent(dice, *fields),
        entry=_bent(dice, *fields, "external", "made_by", "offset"),
        local_name=dice.pick(None, None, None, dice.text()),
    )


def _bent(dice: Dice, *fields: str) -> dict[str, int]:
    """Nothing most of the time; else a few fields that tell something else."""
    if dice.number(3):
        return {}
    values = (0, 1, 7, 8, 0x800, 0x808, 0xFFFF, dice.number(2**16))
    return {dice.pick(*fields): dice.pick(*values) for _ in range(dice.number(3))}


# --- Texts -------------------------------------------------------------------------------------


def package_toml(data: bytes) -> None:
    """A manifest that can be stamped says what it said, and stamping it again changes nothing."""
    try:
        manifest = read_manifest(data)
        stamped = stamp(data, 7)
    except InvalidManifest:
        return
    assert read_manifest(stamped) == manifest
    assert stamp(stamped, 7) == stamped
    assert stamp(stamp(stamped, 123456), 7) == stamped


def pages_toml(data: bytes) -> None:
    """The path that a manifest of a page asks for is one, or is refused."""
    parts = (Part(b"pages.toml", data), Part(b"index.html", b"x"))
    try:
        bundle = Bundle(io.BytesIO(Zip(parts).build()), LIMITS, PublishWish(None, None))
    except (InvalidBundle, BadPath) as refusal:
        check_told(refusal)
        return
    assert bundle.path.isascii()
    assert bundle.path.strip("/.") != ""


def rules(data: bytes) -> None:
    """Rules that are taken are the same once they were kept, and say nothing that is no header."""
    redirects, _, rest = data.partition(b"\0")
    headers, _, path = rest.partition(b"\0")
    try:
        found = read_rules(redirects, headers)
    except BadRule as refusal:
        check_told(refusal)
        return
    if found is None:
        return
    kept = Rules.load(found.dump())
    for asked in ("/", "/a", "/a/b/c.html", "/" + path.decode("utf-8", "replace")):
        lead = found.lead(asked)
        assert kept.lead(asked) == lead
        assert (
            lead is None or lead.is_rewrite or (lead.target.isascii() and lead.target.isprintable())
        )
        for name, value in found.headers_for(asked).items():
            assert f"{name}{value}".replace("\t", " ").isprintable()
            assert value.isascii()


def history(data: bytes) -> None:
    """Whatever publishers write, a history claims to be of its package and its newest version."""
    read_claim(data)
    author, summary, description, reason = (
        [part.decode("utf-8", "replace") for part in data.split(b"\0", 3)] + [""] * 4
    )[:4]
    entries = [
        Entry(2, author, NOON, "sha256:" + "a" * 64, summary, description),
        Entry(
            1, author, NOON, None, description, summary, tombstoned=True, tombstone_reason=reason
        ),
    ]
    claim = Claim("widget", 2, "sha256:" + "a" * 64)
    assert read_claim(render([Chapter("widget", entries)]).encode()) == claim


# --- HTTP --------------------------------------------------------------------------------------


def conditions(data: bytes) -> None:
    """A range lies within what there is; a header that makes no sense asks for nothing."""
    dice = Dice(data)
    size, text = dice.pick(0, 1, 10, 2**40), dice.rest().decode("latin-1")
    try:
        found = wanted_slice(text, size)
    except RangeNotSatisfiable:
        pass
    else:
        assert found is None or 0 <= found.start <= found.last < size
    etag = '"0123"'
    assert not matches_strongly(text, etag) or matches_any(text, etag)
    range_still_applies(text, etag, NOON)
    not_modified_since(text, NOON)
    accepts_gzip(text)


def bodies(data: bytes) -> None:
    """A body is fields and a file, or refused; the file's bytes are forgotten when it is."""
    kinds = (
        "multipart/form-data; boundary=b",
        'multipart/form-data; boundary="b"; charset=utf-16',
        "application/json",
        "application/x-www-form-urlencoded",
    )
    dice = Dice(data)
    kind, length = dice.pick(*kinds), dice.pick(None, None, 0, 10, 100_000)
    body = dice.rest()
    request: Any = Request.blank("/", method="POST", body=body, content_type=kind)
    request.content_length = len(body) if length is None else length
    request.registry = SimpleNamespace(upload_settings=UploadSettings(max_fields_size=1024))
    sinks: list[Sheet] = []

    def sink() -> Sheet:
        sinks.append(Sheet())
        return sinks[-1]

    try:
        form = read_form(request, "file", sink, 2048)
    except (Invalid, UnsupportedMedia):
        return
    assert sum(map(len, form.fields.values())) <= 3 * 1024
    assert form.file is None or len(form.file.getvalue()) <= 2048


def _small_archives() -> Iterator[bytes]:
    for case in CASES:
        if not case.id.startswith(("bomb", "crowd", "self", "manifest")):
            data = case.make()
            if len(data) < 4000:
                yield data


def _texts(*texts: str) -> Callable[[], Iterator[bytes]]:
    return lambda: (text.encode("latin-1", "replace") for text in texts)


# Each target, and what it begins with.
TARGETS: dict[str, tuple[Target, Callable[[], Iterator[bytes]]]] = {
    "archives": (archives, _small_archives),
    "uploads": (uploads, _small_archives),
    "built": (built, lambda: (bytes([number]) * 200 for number in range(256))),
    "package-toml": (
        package_toml,
        _texts(
            '[package]\nname = "a"\nauthor = "b"\nversion = 3 # old\n',
            'package = { name = "a", version = "1" }\r\n[x]\n[[y]]\n',
            'package.name = """a"""\npackage."version".x = 1\n[package.y]\nz = [1, 2,\n]\n',
            "[ 'package' ]\nname = 'a'\n[package.version]\na = 0xff\n",
        ),
    ),
    "pages-toml": (pages_toml, _texts('[publish]\npath = "a/b"\n', "[publish]\npath = 'a'\n")),
    "rules": (
        rules,
        _texts(
            "/a /b 301!\n/c/* /d/:splat 302\n/e/:x /f/:x 200 # no\n"
            "\0/*\n  X-A: b\n  Cache-Control: no-store\n\0c/d",
            "/a https://example.org/:splat\n\0/a.html\n  Link: <x>; rel=y\n\0a.html",
        ),
    ),
    "history": (
        history,
        _texts(
            "ann\0first\0# A heading\n---\ntext\n===\n\0gone",
            "# Package History: x\n\n## Versions\n\n### Version 3\n\n- **Hash:** sha256:00\n",
            "# name@7\n[time: x, author: y, hash: eb1ddd1ce6a9]\n",
        ),
    ),
    "conditions": (
        conditions,
        _texts(
            "\2bytes=0-3",
            "\2bytes=-5",
            "\2bytes=7-",
            '\1W/"0123", *',
            "\1Wed, 04 Mar 2026 12:30:58 GMT",
            "\1gzip;q=0.5, *;q=0",
        ),
    ),
    "bodies": (
        bodies,
        _texts(
            '\0\0--b\r\nContent-Disposition: form-data; name="file"; filename=x\r\n\r\n'
            "PK\r\n--b\r\nContent-Disposition: form-data; name=y\r\n\r\nz\r\n--b--\r\n",
            '\2\0{"a": [1, 2.5e3, "\\ud83d"]}',
            "\3\0a=b&c=%20",
        ),
    ),
}
