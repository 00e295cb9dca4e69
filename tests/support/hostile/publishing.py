"""Packages and pages made of archives in this process: all of publishing but HTTP, rows and stores."""

import hashlib
import io
from datetime import UTC, datetime
from typing import Any

from hubrepo.features.packages.drafts import Draft
from hubrepo.features.pages.bundles import Bundle
from hubrepo.features.pages.schemas import PublishWish
from hubrepo.kernel.archives import ArchiveLimits

NOON = datetime(2026, 3, 4, 12, 30, 58, tzinfo=UTC)
LIMITS = ArchiveLimits()


class Sheet(io.BytesIO):
    """A stage in memory."""

    def sync(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""


def package_of(data: bytes, limits: ArchiveLimits = LIMITS) -> bytes:
    """Return the archive that is served of version 7 of a package. Raises InvalidPackage."""
    draft: Any = Draft(io.BytesIO(data), limits, Sheet)  # type: ignore[arg-type,return-value]
    served: bytes = draft.finish(7, "# History\n", NOON).getvalue()
    return served


def page_of(data: bytes, limits: ArchiveLimits = LIMITS, path: str | None = None) -> dict[str, str]:
    """Return the names and SHA-256 digests of a page's files. Raises InvalidBundle, BadPath."""
    bundle = Bundle(io.BytesIO(data), limits, PublishWish(path, None))
    return {each.path: each.digest for each in bundle.entries}


def digest(content: bytes) -> str:
    """Return the SHA-256 of the content of a file."""
    return hashlib.sha256(content).hexdigest()
