"""What can be wrong with pages; the texts are the ones that clients of the reference know."""

from hubrepo.kernel.base import Conflict, Invalid, NotFound, Unprocessable


class NotPublished(NotFound):
    """No live page of this organisation is at that path."""

    code = "not-published"
    message = "not currently published"


class PublicationNotFound(NotFound):
    """The page never had such a publication, or does not keep it any more."""

    code = "publication-not-found"

    def __init__(self, number: int) -> None:
        super().__init__(f"publication {number} not found")


class PublicationLive(Conflict):
    """What visitors see cannot be forgotten."""

    code = "publication-live"

    def __init__(self, number: int) -> None:
        super().__init__(f"publication {number} is live")


class PathOverlaps(Conflict):
    """A live page lies above or below that path."""

    code = "path-overlaps"

    def __init__(self, other: str) -> None:
        super().__init__(f"path overlaps published page '{other}'")


class BadPath(Unprocessable):
    """Nothing can be published there."""

    code = "bad-path"


class InvalidBundle(Unprocessable):
    """The uploaded archive cannot be published."""

    code = "invalid-pages-bundle"

    def __init__(self, reason: object) -> None:
        super().__init__(f"invalid pages bundle - {reason}")


class BadAuthor(Invalid):
    """The author that came with an upload cannot be shown as one."""

    code = "bad-author"
