"""ZIP archives from strangers: read without trust, rewritten without compressing again.

What is uploaded here is handed to others, who extract it with whatever program they have. So an
archive is refused unless every reader must see the same members in it, under names that are safe to
extract anywhere, and its members are what they claim to be. Publishing changes a file or two of
many; the others are copied as they lie, so a rewrite costs what copying costs.

This part knows files and bytes only: no packages, no pages, no HTTP.
"""

from typing import Any

from hubrepo.kernel.archives.deflate import GZIP_FRAME, BrokenDeflate, gzip_framed, inflated
from hubrepo.kernel.archives.errors import ArchiveRefused, NotAnArchive
from hubrepo.kernel.archives.limits import ArchiveLimits
from hubrepo.kernel.archives.members import Member
from hubrepo.kernel.archives.names import resolved
from hubrepo.kernel.archives.reader import Archive
from hubrepo.kernel.archives.writer import ArchiveWriter, Sink

__all__ = [
    "GZIP_FRAME",
    "Archive",
    "ArchiveLimits",
    "ArchiveRefused",
    "ArchiveWriter",
    "BrokenDeflate",
    "Member",
    "NotAnArchive",
    "Sink",
    "gzip_framed",
    "inflated",
    "resolved",
]


def includeme(config: Any) -> None:
    """Read the limits."""
    config.registry.archive_limits = config.add_section(ArchiveLimits, "hubrepo.archives")
