"""The nodes below `/api/pages` and `/pages`. Each is an address; what is there, its views ask.

Below both a URL is taken as it stands: what follows is a path of the organisation's own choosing. So
`/api/pages/a/publications` may be a page of that path, and then it is; only where it is none, it is
what is kept of the page `a`.
"""

import re

from hubrepo.features.pages.catalogue import Catalogue, PageFacts
from hubrepo.features.pages.errors import BadPath
from hubrepo.features.pages.models import PAGES
from hubrepo.features.pages.presenters import Presenter
from hubrepo.features.pages.schemas import path_in_url
from hubrepo.features.pages.services import PageService
from hubrepo.kernel.blobs import blob_service
from hubrepo.kernel.security import OrganisationResource
from hubrepo.kernel.web import Literal, Resource, reify

_DIFFERENCE = re.compile(r"(.+)/publications/([0-9]{1,9})/diff/([0-9]{1,9})", re.DOTALL)
_PUBLICATION = re.compile(r"(.+)/publications/([0-9]{1,9})", re.DOTALL)
_PUBLICATIONS = re.compile(r"(.+)/publications", re.DOTALL)
_FORGET = re.compile(r"(.+)/publications/([0-9]{1,9})/forget", re.DOTALL)
_ROLLBACK = re.compile(r"(.+)/rollback", re.DOTALL)


class PagesResource(Literal):
    """`/api/pages`: the pages of the credential's organisation."""

    def __init__(self, parent: OrganisationResource, name: str) -> None:
        super().__init__(parent, name)
        self.organisation = parent.organisation

    @reify
    def catalogue(self) -> Catalogue:
        """For reading."""
        return Catalogue(self.request.rows, self.organisation)

    @reify
    def service(self) -> PageService:
        """For changing."""
        request = self.request
        return PageService(
            request.db,
            self.organisation,
            blob_service(request, self.organisation, PAGES),
            request.audit,
            request.now,
            request.registry.page_settings,
            max_pages=request.registry.quotas.max_pages,
        )

    @reify
    def present(self) -> Presenter:
        """For showing."""
        return Presenter(self.request.script_name, self.organisation.slug)

    def below(self, rest: str) -> "PageResource":
        """What a URL names whose rest is `rest`."""
        rest = rest.removesuffix("/")
        if match := _DIFFERENCE.fullmatch(rest):
            return DifferenceResource(self, rest, match[1], int(match[2]), int(match[3]))
        if match := _PUBLICATION.fullmatch(rest):
            return PublicationResource(self, rest, match[1], int(match[2]))
        if match := _PUBLICATIONS.fullmatch(rest):
            return PublicationsResource(self, rest, match[1])
        if match := _FORGET.fullmatch(rest):
            return ForgetResource(self, rest, match[1], int(match[2]))
        if match := _ROLLBACK.fullmatch(rest):
            return RollbackResource(self, rest, match[1])
        return PageResource(self, rest)


class PageResource(Resource):
    """`/api/pages/<path>`."""

    def __init__(self, parent: PagesResource, name: str) -> None:
        super().__init__(parent, name)
        self.pages = parent

    @property
    def path(self) -> str:
        """The path that the URL names. Raises BadPath."""
        return path_in_url(self.__name__)

    @property
    def subject(self) -> str:
        """What refusals here are about, as the audit names it."""
        return f"page:{self.__name__}"


class AboutPage(PageResource):
    """What goes on behind the path of a page, unless it is a page itself."""

    def __init__(self, parent: PagesResource, name: str, page_name: str) -> None:
        super().__init__(parent, name)
        self._page_name = page_name

    @property
    def subject(self) -> str:
        """The page, not what is said of it."""
        return f"page:{self._page_name}"

    @property
    def itself(self) -> PageFacts | None:
        """The live page of this very path, which goes before all else."""
        try:
            return self.pages.catalogue.find_page(self.path)
        except BadPath:
            return None

    @property
    def page_path(self) -> str:
        """The path of the page that it is about. Raises BadPath."""
        return path_in_url(self._page_name)


class PublicationsResource(AboutPage):
    """`…/<path>/publications`."""


class AboutPublication(AboutPage):
    """What goes on to one publication."""

    def __init__(self, parent: PagesResource, name: str, page_name: str, number: int) -> None:
        super().__init__(parent, name, page_name)
        self.number = number


class PublicationResource(AboutPublication):
    """`…/<path>/publications/<n>`."""


class ForgetResource(AboutPublication):
    """`…/<path>/publications/<n>/forget`."""


class RollbackResource(AboutPage):
    """`…/<path>/rollback`."""


class DifferenceResource(AboutPage):
    """`…/<path>/publications/<n>/diff/<m>`."""

    def __init__(
        self, parent: PagesResource, name: str, page_name: str, old: int, new: int
    ) -> None:
        super().__init__(parent, name, page_name)
        self.old, self.new = old, new


class PublicPagesResource(Resource):
    """`/pages`. No credential is looked at, here or below."""

    def __getitem__(self, name: str) -> "PublicOrganisationResource":
        return PublicOrganisationResource(self, name)


class PublicOrganisationResource(Literal):
    """`/pages/<slug>`."""

    def below(self, rest: str) -> "PublishedResource":
        """Whatever may be published there."""
        return PublishedResource(self, rest)


class PublishedResource(Resource):
    """`/pages/<slug>/…`: a file of a page, as visitors ask for it."""

    @property
    def slug(self) -> str:
        """That of the organisation."""
        assert self.__parent__ is not None  # noqa: S101 - it is made below one
        return self.__parent__.__name__
