"""Reading pages: plain values, and statements that are put together once.

Every statement asks for an organisation. How many there are does not depend on how many pages,
publications or files there are. What visitors ask is in `addresses`.
"""

from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Select, and_, bindparam, or_, select

from hubrepo.features.pages import errors
from hubrepo.features.pages.models import LivePage, Page, Publication, PublishedFile
from hubrepo.features.pages.schemas import prefixes
from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import BadCursor, iso_micros
from hubrepo.kernel.base import Page as ListingPage
from hubrepo.kernel.db import Rows


class PageFacts(NamedTuple):
    """A live page, and the publication that is live at it."""

    path: str
    number: int
    published_at: datetime
    published_by: str
    digest: str
    size: int
    files: int


class PublicationFacts(NamedTuple):
    """A publication that is kept; `live_id` is the `id` of its page's live one, or None."""

    id: int
    number: int
    published_at: datetime
    published_by: str
    digest: str
    size: int
    files: int
    live_id: int | None

    @property
    def is_live(self) -> bool:
        """Whether visitors see it."""
        return self.id == self.live_id


class Difference(NamedTuple):
    """Paths of files that one publication has, the other has, and both have, but not the same."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]


OWNER: BindParameter[int] = bindparam("owner")
PATH: BindParameter[str] = bindparam("path")
PATHS: BindParameter[Sequence[str]] = bindparam("paths", expanding=True)
FIRST: BindParameter[str] = bindparam("first")
BEHIND: BindParameter[str] = bindparam("behind")
BEFORE: BindParameter[datetime] = bindparam("before", type_=LivePage.published_at.type)
PUBLICATION: BindParameter[int] = bindparam("publication")
BELOW: BindParameter[int] = bindparam("below")
LIMIT: BindParameter[int] = bindparam("limit")
HIGHEST = 2**31 - 1


def _columns(facts: type[NamedTuple], model: Any, leave_out: Iterable[str] = ()) -> list[Any]:
    return [getattr(model, name) for name in facts._fields if name not in leave_out]


_LISTING = (
    select(LivePage.path, *_columns(PageFacts, Publication, {"path"}))
    .join(Publication, Publication.id == LivePage.publication_id)
    .where(LivePage.organisation_id == OWNER)
    .order_by(LivePage.published_at.desc(), LivePage.path.desc())
    .limit(LIMIT)
)
_LISTING_AFTER = _LISTING.where(
    or_(
        LivePage.published_at < BEFORE,
        and_(LivePage.published_at == BEFORE, LivePage.path < PATH),
    )
)
_PAGE = (
    select(LivePage.path, *_columns(PageFacts, Publication, {"path"}))
    .join(Publication, Publication.id == LivePage.publication_id)
    .where(LivePage.organisation_id == OWNER, LivePage.path == PATH)
)
# What lies above a path is one of a few; what lies below it is a range, for `0` comes after `/`.
_ABOVE = (
    select(LivePage.path)
    .where(LivePage.organisation_id == OWNER, LivePage.path.in_(PATHS))
    .limit(1)
)
_UNDER = (
    select(LivePage.path)
    .where(LivePage.organisation_id == OWNER, LivePage.path > FIRST, LivePage.path < BEHIND)
    .limit(1)
)
_PUBLICATIONS = (
    select(*_columns(PublicationFacts, Publication, {"live_id"}), LivePage.publication_id)
    .join(Page, Page.id == Publication.page_id)
    .outerjoin(LivePage, and_(LivePage.organisation_id == OWNER, LivePage.path == PATH))
    .where(
        Page.organisation_id == OWNER,
        Page.path == PATH,
        Publication.organisation_id == OWNER,
        Publication.number < BELOW,
    )
    .order_by(Publication.number.desc())
    .limit(LIMIT)
)
_FILES = (
    select(PublishedFile.path, PublishedFile.digest)
    .where(PublishedFile.organisation_id == OWNER, PublishedFile.publication_id == PUBLICATION)
    .order_by(PublishedFile.path)
)


class Catalogue:
    """The pages of one organisation."""

    def __init__(self, rows: Rows, organisation: OrganisationRef) -> None:
        self._rows, self._owner = rows, organisation.id

    def _all(self, statement: Select[*tuple[Any, ...]], **values: Hashable) -> Sequence[Any]:
        return self._rows.all(statement, {"owner": self._owner, **values})

    def _first(self, statement: Select[*tuple[Any, ...]], **values: Hashable) -> Any:
        return self._rows.first(statement, {"owner": self._owner, **values})

    def pages(self, page: ListingPage) -> Sequence[PageFacts]:
        """Live pages, the one that was published last first."""
        limit = page.fetch or HIGHEST
        if page.after is None:
            rows = self._all(_LISTING, limit=limit)
        else:
            before, path = _after(page.after)
            rows = self._all(_LISTING_AFTER, before=before, path=path, limit=limit)
        return [PageFacts._make(row) for row in rows]

    def find_page(self, path: str) -> PageFacts | None:
        """The live page at that path, if there is one."""
        row = self._first(_PAGE, path=path)
        return None if row is None else PageFacts._make(row)

    def page(self, path: str) -> PageFacts:
        """Raises NotPublished."""
        found = self.find_page(path)
        if found is None:
            raise errors.NotPublished
        return found

    def overlapping(self, path: str) -> str | None:
        """The path of a live page above or below `path`, if there is one."""
        if above := prefixes(path)[1:]:
            row = self._first(_ABOVE, paths=tuple(above))
            if row is not None:
                return str(row.path)
        row = self._first(_UNDER, first=f"{path}/", behind=f"{path}0")
        return None if row is None else str(row.path)

    def publications(self, path: str, page: ListingPage) -> Sequence[PublicationFacts]:
        """What is kept of a page, newest first. Raises NotPublished when it is nothing at all."""
        below = page.after_number()
        rows = self._all(
            _PUBLICATIONS,
            path=path,
            below=HIGHEST if below is None else below,
            limit=page.fetch or HIGHEST,
        )
        if not rows and (
            below is None or not self._all(_PUBLICATIONS, path=path, below=HIGHEST, limit=1)
        ):
            raise errors.NotPublished
        return [PublicationFacts._make(row) for row in rows]

    def publication(self, path: str, number: int) -> PublicationFacts:
        """Raises PublicationNotFound; NotPublished when nothing at all is kept of the page."""
        row = self._first(_PUBLICATIONS, path=path, below=number + 1, limit=1)
        if row is None or row.number != number:
            self.publications(path, ListingPage(limit=1))
            raise errors.PublicationNotFound(number)
        return PublicationFacts._make(row)

    def difference(self, old: PublicationFacts, new: PublicationFacts) -> Difference:
        """What came, went and changed from `old` to `new`."""
        was: dict[str, str] = dict(self._all(_FILES, publication=old.id))
        now: dict[str, str] = dict(self._all(_FILES, publication=new.id))
        return Difference(
            [path for path in now if path not in was],
            [path for path in was if path not in now],
            [path for path, digest in now.items() if was.get(path, digest) != digest],
        )


def cursor_of(page: PageFacts) -> str:
    """What names a page in the listing for those who want what comes after it."""
    return f"{iso_micros(page.published_at)} {page.path}"


def _after(cursor: str) -> tuple[datetime, str]:
    moment, _, path = cursor.partition(" ")
    try:
        before = datetime.fromisoformat(moment)
        if before.tzinfo is None:
            raise BadCursor
        return before.astimezone(UTC), path
    except (ValueError, OverflowError):
        raise BadCursor from None
