"""An upload on its way to being a publication: checked from end to end, every file found and hashed.

Nothing is unpacked and nothing is written: the archive stays as it was sent, and what is kept of it
besides is where its files lie. All of it happens before the first row is touched.
"""

import codecs
import hashlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from hubrepo.features.pages.conventions import HEADERS, MAX_SIZE, REDIRECTS, BadRule, read_rules
from hubrepo.features.pages.errors import BadPath, InvalidBundle
from hubrepo.features.pages.rules import Rules
from hubrepo.features.pages.schemas import MISSING_PATH, PublishWish, manifest_path
from hubrepo.kernel.archives import Archive, ArchiveLimits, ArchiveRefused, Member, resolved
from hubrepo.kernel.base import nfc, parse_toml
from hubrepo.kernel.serving import content_type_of, is_text

MANIFEST = "pages.toml"
MAX_MANIFEST = 256 * 1024

NO_MANIFEST = f"missing top-level `{MANIFEST}`"
NOT_TOML = f"`{MANIFEST}` is not valid TOML"
NO_FILES = "no files to publish"


class FileEntry(NamedTuple):
    """A file of the archive (see `models.PublishedFile`)."""

    path: str
    offset: int
    stored_size: int
    size: int
    crc: int
    digest: str
    stored_digest: str | None
    is_utf8: bool


class Bundle:
    """A checked archive of a page: the path it wants, its files, its rules.

    `served` is how many of the files visitors can ask for.
    """

    path: str
    entries: list[FileEntry]
    served: int
    rules: Rules | None

    def __init__(self, upload: BinaryIO, limits: ArchiveLimits, wish: PublishWish) -> None:
        """Raises InvalidBundle, BadPath."""
        try:
            archive = Archive.read_from(upload, limits, spelled)
            manifest = archive.find("", MANIFEST)
            self.path = _path(archive, manifest, wish.path)
            self.entries = list(_entries(archive, manifest))
            if not self.entries:
                raise InvalidBundle(NO_FILES)
            self.rules = _rules(archive)
        except (ArchiveRefused, BadRule) as error:
            raise InvalidBundle(error) from error
        self.served = sum(each.path not in {REDIRECTS, HEADERS} for each in self.entries)


def spelled(name: str) -> str:
    """A member's name as URLs spell it."""
    return nfc(resolved(name))


def _path(archive: Archive, manifest: Member | None, fallback: str | None) -> str:
    """The path in the manifest; where that is silent, what the form says."""
    published: object = {}
    if manifest is not None:
        published = _parsed(archive.read(manifest, MAX_MANIFEST)).get("publish", {})
    elif fallback is None:
        raise InvalidBundle(NO_MANIFEST)
    if not isinstance(published, dict):
        raise BadPath(MISSING_PATH)
    return manifest_path(published.get("path", fallback))


def _parsed(data: bytes) -> dict[str, object]:
    try:
        return parse_toml(data.decode())
    except ValueError:
        raise InvalidBundle(NOT_TOML) from None


def _entries(archive: Archive, manifest: Member | None) -> Iterator[FileEntry]:
    """All files but the manifest; folders are read too, to see that nothing is in them."""
    for member in archive.members:
        if member.is_directory:
            archive.read(member, 0)
        elif member is not manifest:
            yield _entry(archive, member)


def _entry(archive: Archive, member: Member) -> FileEntry:
    """Read the member to its end: what is claimed of it is true, or the archive is refused."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    is_utf8 = is_text(content_type_of(member.name))
    for piece in archive.chunks(member):
        digest.update(piece)
        is_utf8 = is_utf8 and _decodes(decoder, piece)
    return FileEntry(
        path=member.name,
        offset=member.offset,
        stored_size=member.stored_size,
        size=member.size,
        crc=member.crc,
        digest=digest.hexdigest(),
        stored_digest=_stored_digest(archive, member) if member.is_deflated else None,
        is_utf8=is_utf8 and _decodes(decoder, b"", final=True),
    )


def _decodes(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return False
    return True


def _stored_digest(archive: Archive, member: Member) -> str:
    digest = hashlib.sha256()
    for piece in archive.stored(member):
        digest.update(piece)
    return digest.hexdigest()


def _rules(archive: Archive) -> Rules | None:
    files = {each.name: each for each in archive.members if each.name in {REDIRECTS, HEADERS}}
    texts = {name: archive.read(each, MAX_SIZE) for name, each in files.items()}
    return read_rules(texts.get(REDIRECTS), texts.get(HEADERS))
