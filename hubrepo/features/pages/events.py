"""What happens to pages. The subject is always the page."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class PageEvent:
    """What all of them have: `publication` is the number that it is about."""

    action: ClassVar[str]
    path: str
    publication: int
    content_hash: str

    @property
    def subject(self) -> str:
        """The page."""
        return f"page:{self.path}"


@dataclass(frozen=True)
class PagePublished(PageEvent):
    """A publication was added, and is live; `previous` was until then, or None."""

    action = "pages:publish"
    previous: int | None
    published_by: str
    size: int
    files: int


@dataclass(frozen=True)
class PageRolledBack(PageEvent):
    """A publication is live again; `previous` was until then, or None."""

    action = "pages:roll-back"
    previous: int | None


@dataclass(frozen=True)
class PublicationForgotten(PageEvent):
    """A past publication was removed before its time; its bytes go too, unless others have the same."""

    action = "pages:forget"


@dataclass(frozen=True)
class PageUnpublished(PageEvent):
    """Nothing is served there any more."""

    action = "pages:unpublish"
    reason: str
