"""Pages as their clients know them: fields, their order and their formats are the contract."""

from hubrepo.features.pages.catalogue import Difference, PageFacts, PublicationFacts
from hubrepo.kernel.base import iso_seconds


class Presenter:
    """`prefix` is what every URL of the hub begins with, `slug` that of the organisation."""

    def __init__(self, prefix: str, slug: str) -> None:
        self._base = f"{prefix}/pages/{slug}"

    def page(self, page: PageFacts) -> dict[str, object]:
        """A page by itself: the fields of the reference, then ours."""
        return self._address(page) | {"content_hash": page.digest} | self._more(page)

    def listed(self, page: PageFacts) -> dict[str, object]:
        """A page in the listing, whose fields have another order."""
        publisher: dict[str, object] = {"published_by": page.published_by}
        return self._address(page) | publisher | {"content_hash": page.digest} | self._more(page)

    def _address(self, page: PageFacts) -> dict[str, object]:
        return {
            "path": page.path,
            "url": f"{self._base}/{page.path}/",
            "published_at": iso_seconds(page.published_at),
        }

    @staticmethod
    def _more(page: PageFacts) -> dict[str, object]:
        return {
            "published_by": page.published_by,
            "publication": page.number,
            "size": page.size,
            "files": page.files,
        }


def publication_json(publication: PublicationFacts) -> dict[str, object]:
    """A publication that is kept."""
    return {
        "publication": publication.number,
        "published_at": iso_seconds(publication.published_at),
        "published_by": publication.published_by,
        "content_hash": publication.digest,
        "size": publication.size,
        "files": publication.files,
        "live": publication.is_live,
    }


def difference_json(
    old: PublicationFacts, new: PublicationFacts, difference: Difference
) -> dict[str, object]:
    """Which files came, went and changed."""
    return {"from": old.number, "to": new.number, **difference._asdict()}
