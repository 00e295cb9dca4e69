"""Reading an archive that may be an attack.

Reading happens in two steps. `Archive.read_from` judges everything that is written about the
members and reads none of them; `Archive.verify` inflates them all, once, to see whether it was
true. No member is ever inflated beyond the size that it claims, so the limits can be held against
the claims: they are the real sizes, or else the archive is refused for lying.
"""

import stat
import zlib
from collections.abc import Iterator
from itertools import pairwise
from os import SEEK_END
from typing import BinaryIO, NamedTuple, Self

from hubrepo.kernel.archives.deflate import CHUNK, BrokenDeflate, inflated
from hubrepo.kernel.archives.directory import (
    Directory,
    Listed,
    find_directory,
    read_at,
    read_directory,
)
from hubrepo.kernel.archives.errors import ArchiveRefused
from hubrepo.kernel.archives.limits import ArchiveLimits, over_limit
from hubrepo.kernel.archives.members import Member
from hubrepo.kernel.archives.names import (
    Spelling,
    as_written,
    check_name,
    check_together,
    check_written,
    folded,
)
from hubrepo.kernel.archives.records import (
    DEFERRED,
    DEFLATED,
    ENCRYPTED,
    LEVEL,
    LOCAL_FORMAT,
    LOCAL_SIGNATURE,
    LONGEST_DESCRIPTOR,
    MOST_32,
    PATCHED,
    RECORD,
    STORED,
    UNICODE_COMMENT,
    UNICODE_PATH,
    UTF8,
    ZIP64,
    Entry,
    LocalHeader,
    contradicts_itself,
    cut,
    decoded,
    descriptor_length,
    unicode_block,
    widened,
)
from hubrepo.kernel.base import shown

# Below this a member may be as compressible as it likes: many honest small files are.
_RATIO_MATTERS_FROM = 1024**2

# Attributes of DOS and Windows.
_VOLUME, _FOLDER, _REPARSE_POINT = 0x08, 0x10, 0x400

# Set-user-ID, set-group-ID and sticky: whoever extracts an archive has not asked for them.
_SPECIAL_MODES = (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX) << 16

# APPNOTE 6.3 is the newest version of the format that others can read.
_NEWEST_VERSION = 63


class _Extent(NamedTuple):
    """From where to where a member lies in the file, its headers included."""

    start: int
    end: int
    name: str


class Archive:
    """A ZIP file whose names, sizes and places have been found good; its contents have not yet.

    `members` are in the order of the archive's directory. The file must stay open, and nobody else
    may write to it.
    """

    def __init__(self, file: BinaryIO, members: tuple[Member, ...]) -> None:
        self._file = file
        self.members = members

    @classmethod
    def read_from(cls, file: BinaryIO, limits: ArchiveLimits, spell: Spelling = as_written) -> Self:
        """Read what the archive in the seekable `file` says of itself.

        `spell` makes a member's name of the one that is written. A folder that it leaves no name
        is the root's own, and no member. Raises ArchiveRefused, naming the first member that breaks
        a rule; NotAnArchive if there is no archive to speak of. There may be bytes before, between
        and after the members, as long as nobody could take them for members.
        """
        directory = find_directory(file, limits)
        members = []
        extents = []
        headers = 0
        for listed in read_directory(file, directory):
            member, extent = _member(file, directory, listed, limits, spell)
            extents.append(extent)
            headers += member.offset - extent.start
            if headers > directory.start:
                # Nobody gets to have one large header read ten thousand times.
                raise ArchiveRefused("lies where other members do", member.name)
            if member.name:
                members.append(member)
        extents.sort()
        _check_apart(extents)
        check_together(member.name for member in members)
        _check_expansion(members, limits)
        _check_gaps(file, directory, extents)
        return cls(file, tuple(members))

    def root_beside(self, *filenames: str) -> str:
        """`top/` if all the archive lies in that single folder, otherwise empty.

        Files of these names may lie beside the folder.
        """
        ignored = set(map(folded, filenames))
        names = [each.name for each in self.members if folded(each.name) not in ignored]
        tops = {top + slash for top, slash, _ in (name.partition("/") for name in names)}
        top = tops.pop() if len(tops) == 1 else ""
        return top if top.endswith("/") else ""

    def find(self, folder: str, filename: str) -> Member | None:
        """The file of that name in `folder` (empty, or ending in a slash), whatever its case."""
        wanted = folded(filename)
        for member in self.members:
            inside = member.name.startswith(folder) and not member.is_directory
            if inside and folded(member.name[len(folder) :]) == wanted:
                return member
        return None

    def verify(self) -> None:
        """Inflate every member once, keeping nothing. Raises ArchiveRefused at the first lie."""
        for member in self.members:
            for _ in self.chunks(member):
                pass

    def read(self, member: Member, limit: int) -> bytes:
        """The verified content of a small member; refused if it is larger than `limit` bytes."""
        if member.size > limit:
            raise ArchiveRefused(f"is larger than {limit} bytes", member.name)
        return b"".join(self.chunks(member))

    def chunks(self, member: Member) -> Iterator[bytes]:
        """The content of `member` in pieces. It is verified once the last one has been taken."""
        crc, left, pieces = 0, member.size, self.stored(member)
        try:
            for piece in inflated(pieces, member.size) if member.is_deflated else pieces:
                left -= len(piece)
                if left < 0:
                    raise ArchiveRefused("inflates to more than it claims", member.name)
                crc = zlib.crc32(piece, crc)
                yield piece
        except BrokenDeflate as error:
            raise ArchiveRefused(str(error), member.name) from None
        if left:
            raise ArchiveRefused("inflates to less than it claims", member.name)
        if crc != member.crc:
            raise ArchiveRefused("does not match its checksum", member.name)

    def stored(self, member: Member) -> Iterator[bytes]:
        """The bytes of `member` as they lie in the archive, in pieces and unverified."""
        end = member.offset + member.stored_size
        for at in range(member.offset, end, CHUNK):
            yield read_at(self._file, at, min(CHUNK, end - at))


def _member(
    file: BinaryIO, directory: Directory, listed: Listed, limits: ArchiveLimits, spell: Spelling
) -> tuple[Member, _Extent]:
    """The member that `listed` speaks of, and where it lies."""
    entry = listed.entry
    written, comment = _texts(listed)
    check_written(written)
    name = spell(written)
    if name or not written.endswith(("/", "\\")):
        check_name(name, limits)
    _check_kind(name or "./", entry)
    if RECORD.search(comment):
        raise ArchiveRefused("has a record of the format in its comment", name)
    offset, end = _check_local_header(file, directory, listed, name)
    member = Member(
        name=name,
        method=entry.method,
        crc=entry.crc,
        size=entry.size,
        stored_size=entry.stored_size,
        offset=offset,
        level=entry.flags & LEVEL,
        dos_date=entry.date,
        dos_time=entry.time,
        made_by=entry.made_by,
        internal=entry.internal,
        external=entry.external & ~_SPECIAL_MODES,
        comment=comment,
    )
    return member, _Extent(entry.offset + directory.shift, end, name)


def _texts(listed: Listed) -> tuple[str, bytes]:
    """Name and comment, the comment in UTF-8.

    Some programs put a UTF-8 name beside the one in code page 437, and not every reader looks
    there; others write UTF-8 and do not say so. Such a member gets that name for good, so that it
    has one name only.
    """
    entry, raw, extra, raw_comment = listed
    if entry.flags & UTF8:
        return _marked_name(raw), cut(raw_comment.decode(errors="replace"))
    path = unicode_block(extra, UNICODE_PATH, raw)
    comment = unicode_block(extra, UNICODE_COMMENT, raw_comment)
    name = decoded(raw) if path is None else _marked_name(path)
    return name, cut(decoded(raw_comment) if comment is None else comment.decode(errors="replace"))


def _marked_name(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        name = raw.decode(errors="backslashreplace")
        raise ArchiveRefused("has a name that is not the UTF-8 it claims to be", name) from None


def _check_kind(name: str, entry: Entry) -> None:
    """Refuse what is not a plain file or folder in a compression that everybody reads."""
    # Only Unix has file types there, yet a reader may look without asking who wrote them.
    kind = stat.S_IFMT(entry.external >> 16)
    is_directory = name.endswith("/")
    rules = (
        (entry.flags & ENCRYPTED, "is encrypted"),
        (entry.flags & PATCHED, "is a patch"),
        (kind == stat.S_IFLNK, "is a link"),
        (kind not in {0, stat.S_IFREG, stat.S_IFDIR}, "is neither a file nor a folder"),
        (kind == stat.S_IFDIR and not is_directory, "is a folder only by its mode"),
        (entry.external & _FOLDER and not is_directory, "is a folder only by its attributes"),
        (entry.external & _VOLUME, "is the label of a volume"),
        (entry.external & _REPARSE_POINT, "is a link"),
        (
            entry.method not in {STORED, DEFLATED},
            f"is compressed by method {entry.method}, neither stored nor deflated",
        ),
        (entry.needs & 0xFF > _NEWEST_VERSION, "needs a version of the format that does not exist"),
        (is_directory and entry.size, "is a folder with content"),
        (
            entry.method == STORED and entry.size != entry.stored_size,
            "is stored, but claims two sizes",
        ),
    )
    for broken, reason in rules:
        if broken:
            raise ArchiveRefused(reason, name)


def _check_local_header(
    file: BinaryIO, directory: Directory, listed: Listed, name: str
) -> tuple[int, int]:
    """Where the member's stored bytes begin, and where it ends: behind its descriptor, if it has one.

    Raises ArchiveRefused where the local header tells another story than the directory: there are
    readers who believe the one, and readers who believe the other.
    """
    entry = listed.entry
    name_at = entry.offset + directory.shift + LOCAL_FORMAT.size
    if name_at > directory.start:
        raise ArchiveRefused("lies outside the archive", name)
    header = read_at(file, name_at - LOCAL_FORMAT.size, LOCAL_FORMAT.size)
    local = LocalHeader._make(LOCAL_FORMAT.unpack(header))
    if local.signature != LOCAL_SIGNATURE:
        raise ArchiveRefused("is not where the directory says", name)
    offset = name_at + local.name_length + local.extra_length
    if offset + entry.stored_size > directory.start:
        raise ArchiveRefused("lies outside the archive", name)
    following = read_at(file, name_at, local.name_length + local.extra_length)
    raw_name, extra = following[: local.name_length], following[local.name_length :]
    size, stored_size = widened((local.size, local.stored_size), extra)
    telling = ENCRYPTED | PATCHED | (0 if raw_name.isascii() else UTF8)
    claims = (entry.crc, entry.size, entry.stored_size)
    if raw_name != listed.name:
        raise ArchiveRefused("bears another name in its local header", name)
    if local.method != entry.method or (local.flags ^ entry.flags) & telling:
        raise ArchiveRefused("is of another kind in its local header", name)
    told = (local.crc, size, stored_size)
    if not _agree(told, claims, deferred=bool(local.flags & DEFERRED)):
        raise ArchiveRefused("has another size or checksum in its local header", name)
    if contradicts_itself(extra, (ZIP64,)) or contradicts_itself(
        listed.extra, (ZIP64, UNICODE_PATH, UNICODE_COMMENT)
    ):
        raise ArchiveRefused("has two extra fields that contradict each other", name)
    end = offset + entry.stored_size
    if local.flags & DEFERRED:
        end += _check_descriptor(file, directory, entry, end, name)
    return offset, end


def _agree(told: tuple[int, int, int], claims: tuple[int, int, int], *, deferred: bool) -> bool:
    """Whether a local header tells what the directory claims, or leaves it to a descriptor."""
    return told == claims or (
        deferred
        and all(number in {claim, 0, MOST_32} for number, claim in zip(told, claims, strict=True))
    )


def _check_descriptor(
    file: BinaryIO, directory: Directory, entry: Entry, at: int, name: str
) -> int:
    """The length of the descriptor that must be `at`, behind the stored bytes."""
    data = read_at(file, at, min(LONGEST_DESCRIPTOR, directory.start - at))
    length = descriptor_length(data, entry.crc, entry.stored_size, entry.size)
    if not length:
        raise ArchiveRefused("has another size or checksum behind its data, or none", name)
    return length


def _check_gaps(file: BinaryIO, directory: Directory, extents: list[_Extent]) -> None:
    """Refuse bytes that belong to nothing where a reader who does not ask the directory sees members."""
    at = 0
    for start, end in [*((each.start, each.end) for each in extents), (directory.start, 0)]:
        _check_stray(file, at, start)
        at = end
    _check_stray(file, directory.end, file.seek(0, SEEK_END))


def _check_stray(file: BinaryIO, at: int, end: int) -> None:
    while at < end:
        piece = read_at(file, at, min(CHUNK, end - at))
        if RECORD.search(piece):
            raise ArchiveRefused("the file holds more than the archive's directory tells of")
        # A record may begin in one piece and go on in the next.
        at += len(piece) if at + len(piece) == end else len(piece) - 3


def _check_apart(extents: list[_Extent]) -> None:
    """Refuse members that share bytes. `extents` are in their order."""
    for (_, end, name), (start, _, other) in pairwise(extents):
        if start < end:
            raise ArchiveRefused(f"overlaps {shown(name)}", other)


def _check_expansion(members: list[Member], limits: ArchiveLimits) -> None:
    """Refuse members that claim to expand too far, alone or together."""
    expanded = 0
    for member in members:
        expanded += member.size
        if expanded > limits.max_expanded:
            limit = over_limit(limits, "max_expanded", "bytes")
            raise ArchiveRefused(f"expands beyond {limit}", member.name)
        if member.size > max(_RATIO_MATTERS_FROM, member.stored_size * limits.max_ratio):
            limit = over_limit(limits, "max_ratio", "times its stored size")
            raise ArchiveRefused(f"expands beyond {limit}", member.name)
