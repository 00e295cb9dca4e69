"""Rows of pages that contradict one another: what `hubrepo check` asks of this feature."""

from collections.abc import Iterator

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from hubrepo.features.pages.models import LivePage, Page, Publication, PublishedFile
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.blobs import DANGLING, Blob, Finding

_OF = select(Organisation.slug, Page.path, Publication.number).select_from(Publication)
_PUBLICATIONS = _OF.join(Page, Page.id == Publication.page_id).join(
    Organisation, Organisation.id == Publication.organisation_id
)


def check_pages(db: Session) -> Iterator[Finding]:
    """Publications whose archive, files, page or state is not what their row says."""
    files = (
        select(func.count()).where(PublishedFile.publication_id == Publication.id).scalar_subquery()
    )
    beyond = (
        select(PublishedFile.path)
        .where(
            PublishedFile.publication_id == Publication.id,
            PublishedFile.offset + PublishedFile.stored_size > Publication.size,
        )
        .exists()
    )
    live = select(LivePage.id).where(LivePage.publication_id == Publication.id).exists()
    wrong = {
        "its blob has another digest, size or organisation": _PUBLICATIONS.join(
            Blob, Blob.id == Publication.blob_id
        ).where(
            or_(
                Blob.digest != Publication.digest,
                Blob.size != Publication.size,
                Blob.organisation_id != Publication.organisation_id,
            )
        ),
        "a file of it lies beyond the end of its archive": _PUBLICATIONS.where(beyond),
        "its files are not as many as it says": _PUBLICATIONS.where(Publication.files > files),
        "it is live and retired, or neither": _PUBLICATIONS.where(
            Publication.retired_at.is_(None) != live
        ),
        "its number is higher than any that its page has given out": _PUBLICATIONS.where(
            Publication.number > Page.head
        ),
    }
    for text, query in wrong.items():
        for slug, path, number in db.execute(query):
            yield Finding(DANGLING, f"page:{slug}/{path} publication {number}", text)
