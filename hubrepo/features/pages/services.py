"""The rules of pages: what may be live where, what a swap changes, what is kept of what was."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, false, func, insert, or_, select, union
from sqlalchemy.orm import Session

from hubrepo.features.pages import errors, events
from hubrepo.features.pages.bundles import Bundle
from hubrepo.features.pages.catalogue import Catalogue, PageFacts
from hubrepo.features.pages.models import LivePage, Page, Publication, PublishedFile
from hubrepo.features.pages.schemas import prefixes
from hubrepo.features.pages.settings import PageSettings
from hubrepo.kernel.accounts import Organisation, OrganisationRef, QuotaExceeded
from hubrepo.kernel.audit import AuditLog
from hubrepo.kernel.blobs import Blob, BlobService, Stage, doom
from hubrepo.kernel.db import Database, Rows, insert_if_absent

FORGET_AT_ONCE = 20
SECOND = timedelta(seconds=1)


class PageService:
    """Changes the pages of one organisation, and tells the audit.

    What is live changes under a lock on the organisation, so that two publishers see each other. Locks
    are taken in one order everywhere: page, publication, blob, organisation.
    """

    def __init__(
        self,
        db: Session,
        organisation: OrganisationRef,
        blobs: BlobService,
        audit: AuditLog,
        now: datetime,
        settings: PageSettings,
        max_pages: int = 0,
    ) -> None:
        self._db, self._organisation, self._blobs, self._audit = db, organisation, blobs, audit
        self._now, self._settings, self._max_pages = now, settings, max_pages
        self._catalogue = Catalogue(Rows(db.connection()), organisation)

    def publish(self, bundle: Bundle, stage: Stage, published_by: str) -> PageFacts:
        """Make the staged archive live at its path, in place of what is.

        Raises PathOverlaps, QuotaExceeded.
        """
        owner = self._organisation.id
        insert_if_absent(self._db, Page, organisation_id=owner, path=bundle.path, head=0)
        page = self._page(bundle.path)
        blob = self._blobs.put(stage)
        live = self._live_or_free(page)
        publication = self._add_publication(page, blob, bundle, published_by)
        previous = self._swap(page, live, publication)
        self._forget_surplus(page)
        self._audit.record(
            events.PagePublished(
                page.path,
                publication.number,
                publication.digest,
                previous,
                published_by,
                publication.size,
                publication.files,
            )
        )
        return facts_of(page, publication)

    def _add_publication(
        self, page: Page, blob: Blob, bundle: Bundle, published_by: str
    ) -> Publication:
        """The next publication of a page, with its files; nobody sees it yet."""
        page.head += 1
        publication = Publication(
            organisation_id=self._organisation.id,
            page_id=page.id,
            number=page.head,
            published_at=self._now,
            published_by=published_by,
            digest=blob.digest,
            size=blob.size,
            files=bundle.served,
            blob_id=blob.id,
            rules=bundle.rules.dump() if bundle.rules is not None else None,
        )
        self._db.add(publication)
        self._db.flush()
        key = {"organisation_id": page.organisation_id, "publication_id": publication.id}
        # All in one batch: without the option, rows with a NULL would be a batch of their own.
        self._db.execute(
            insert(PublishedFile).execution_options(render_nulls=True),
            [key | each._asdict() for each in bundle.entries],
        )
        return publication

    def roll_back(self, path: str, number: int) -> PageFacts:
        """Make a publication live again, also one of a page that was unpublished.

        Raises NotPublished, PublicationNotFound, PathOverlaps, QuotaExceeded.
        """
        page = self._page(path)
        publication = self._publication(page, number)
        live = self._live_or_free(page)
        if live is None or live.publication_id != publication.id:
            previous = self._swap(page, live, publication)
            self._audit.record(events.PageRolledBack(path, number, publication.digest, previous))
        return facts_of(page, publication)

    def unpublish(self, path: str, reason: str) -> None:
        """Serve nothing there any more; what was is kept for a while. Raises NotPublished."""
        page = self._page(path)
        self._lock_organisation()
        live = self._live(page)
        if live is None:
            raise errors.NotPublished
        retired = self._retire(live)
        self._db.delete(live)
        page.changed_at = self._moment_after(page.changed_at)
        if not self._settings.keep_publications:
            # Otherwise the next publish does it: taking a page down shall not wait for many rows.
            self._forget_surplus(page)
        happened = events.PageUnpublished(path, retired.number, retired.digest, reason)
        self._audit.record(happened)

    def forget(self, path: str, number: int) -> None:
        """Remove a past publication at once. Raises NotPublished, PublicationNotFound, PublicationLive."""
        page = self._page(path)
        publication = self._publication(page, number)
        live = self._live(page)
        if live is not None and live.publication_id == publication.id:
            raise errors.PublicationLive(number)
        self._audit.record(events.PublicationForgotten(path, number, publication.digest))
        self._blobs.release(*forget(self._db, self._numbered(page, number)))

    def _numbered(self, page: Page, number: int) -> Select[Publication]:
        return select(Publication).where(self._of(page), Publication.number == number)

    def _publication(self, page: Page, number: int) -> Publication:
        """The publication, which nobody forgets until this transaction ends."""
        found = self._db.scalar(self._numbered(page, number).with_for_update())
        if found is None:
            raise errors.PublicationNotFound(number)
        return found

    def _page(self, path: str) -> Page:
        """The page, which no other transaction changes until this one ends. Raises NotPublished."""
        found = self._db.scalar(Page.at(self._organisation, path).with_for_update(key_share=True))
        if found is None:
            raise errors.NotPublished
        return found

    def _of(self, page: Page) -> ColumnElement[bool]:
        return and_(
            Publication.organisation_id == self._organisation.id, Publication.page_id == page.id
        )

    def _lock_organisation(self) -> int | None:
        """Wait until nobody else changes what is live; the organisation's own limit of pages."""
        return self._db.scalar(
            select(Organisation.max_pages)
            .where(Organisation.id == self._organisation.id)
            .with_for_update(key_share=True)
        )

    def _live(self, page: Page) -> LivePage | None:
        own = LivePage.organisation_id == self._organisation.id
        return self._db.scalar(select(LivePage).where(own, LivePage.path == page.path))

    def _live_or_free(self, page: Page) -> LivePage | None:
        """What is live there, or None where something may be. Raises PathOverlaps, QuotaExceeded."""
        own_limit = self._lock_organisation()
        live = self._live(page)
        if live is not None:
            return live
        if (other := self._catalogue.overlapping(page.path)) is not None:
            raise errors.PathOverlaps(other)
        limit = own_limit if own_limit is not None else self._max_pages
        if limit and self._count_live() >= limit:
            whose = "" if own_limit is not None else " (hubrepo.quotas.max_pages)"
            raise QuotaExceeded(f"the organisation may have {limit} pages{whose}")
        return None

    def _count_live(self) -> int:
        own = LivePage.organisation_id == self._organisation.id
        return self._db.scalar(select(func.count()).select_from(LivePage).where(own)) or 0

    def _swap(self, page: Page, live: LivePage | None, publication: Publication) -> int | None:
        """Make `publication` what is live; the number of what was."""
        last = page.changed_at if live is not None else self._last_change_around(page)
        page.changed_at = self._moment_after(last)
        previous = None if live is None else self._retire(live).number
        if live is None:
            live = LivePage(organisation_id=self._organisation.id, path=page.path, page_id=page.id)
            self._db.add(live)
        publication.retired_at = None
        live.publication_id = publication.id
        live.published_at, live.changed_at = publication.published_at, page.changed_at
        return previous

    def _retire(self, live: LivePage) -> Publication:
        retired = self._db.get_one(Publication, live.publication_id)
        retired.retired_at = self._now
        return retired

    def _moment_after(self, last: datetime | None) -> datetime:
        now = self._now.replace(microsecond=0)
        return now if last is None else max(now, last + SECOND)

    def _last_change_around(self, page: Page) -> datetime | None:
        """When an address below `page` last changed: another page may have had it, above or below."""
        near = or_(
            Page.path.in_(prefixes(page.path)),
            and_(Page.path > f"{page.path}/", Page.path < f"{page.path}0"),
        )
        own = Page.organisation_id == self._organisation.id
        return self._db.scalar(select(func.max(Page.changed_at)).where(own, near))

    def _forget_surplus(self, page: Page) -> None:
        """Let go, afterwards, of what is kept no longer: too many of this page, too old ones of any."""
        too_many = (
            select(Publication)
            .where(self._of(page), Publication.retired_at.is_not(None))
            .order_by(Publication.retired_at.desc(), Publication.number.desc())
            .offset(self._settings.keep_publications)
        )
        own = Publication.organisation_id == self._organisation.id
        too_old = retired_long_ago(self._settings, self._now).where(own)
        if any(self._db.scalar(each.limit(1)) is not None for each in (too_many, too_old)):
            self._blobs.release_afterwards(lambda db: forget(db, too_many) + forget(db, too_old))


def retired_long_ago(settings: PageSettings, now: datetime) -> Select[Publication]:
    """Publications that are kept no longer, of every page."""
    before = now - timedelta(days=settings.keep_days)
    return select(Publication).where(
        Publication.retired_at < before if settings.keep_days else false()
    )


def surplus(settings: PageSettings) -> Select[Publication]:
    """Publications that are more than are kept of a page, of every page."""
    newest_first = (Publication.retired_at.desc(), Publication.number.desc())
    rank = func.row_number().over(partition_by=Publication.page_id, order_by=newest_first)
    is_past = Publication.retired_at.is_not(None)
    ranked = select(Publication.id, rank.label("rank")).where(is_past).subquery()
    too_many = select(ranked.c.id).where(ranked.c.rank > settings.keep_publications)
    return select(Publication).where(is_past, Publication.id.in_(too_many))


def forget(db: Session, which: Select[Publication]) -> list[int]:
    """Remove publications and where their files lie, a few at a time; the blobs that they had."""
    # One that is just being rolled back to is locked, and left alone.
    gone = db.scalars(which.limit(FORGET_AT_ONCE).with_for_update(skip_locked=True)).all()
    for publication in gone:
        db.execute(
            delete(PublishedFile).where(
                PublishedFile.organisation_id == publication.organisation_id,
                PublishedFile.publication_id == publication.id,
            )
        )
        db.delete(publication)
    db.flush()
    return [publication.blob_id for publication in gone]


def forget_old(
    settings: PageSettings, database: Database, now: datetime, *, dry_run: bool = False
) -> int:
    """Let go of all that is kept no longer, wherever it is; how many publications."""
    kept_no_longer = (retired_long_ago(settings, now), surplus(settings))
    if dry_run:
        with database.read() as db:
            ids = union(*(which.with_only_columns(Publication.id) for which in kept_no_longer))
            return db.scalar(select(func.count()).select_from(ids.subquery())) or 0
    forgotten = 0
    for which in kept_no_longer:
        with database.read() as db:
            owners = set(db.scalars(which.with_only_columns(Publication.organisation_id)))
        for owner in owners:
            own = which.where(Publication.organisation_id == owner)
            # A few at a time: others want to write too.
            while blob_ids := _forget_some(database, own, now):
                forgotten += len(blob_ids)
    return forgotten


def _forget_some(database: Database, which: Select[Publication], now: datetime) -> list[int]:
    with database.write() as db:
        blob_ids = forget(db, which)
        doom(db, blob_ids, now)
        return blob_ids


def facts_of(page: Page, publication: Publication) -> PageFacts:
    """What is live at a page now that `publication` is."""
    own = {name: getattr(publication, name) for name in PageFacts._fields if name != "path"}
    return PageFacts(path=page.path, **own)
