"""The nodes below `/api/packages`. Each is an address; whether anything is there, its views ask."""

from functools import partial

from hubrepo.features.packages.catalogue import Catalogue
from hubrepo.features.packages.presenters import Presenter
from hubrepo.features.packages.schemas import name_in_url, version_in_url
from hubrepo.features.packages.services import PackageService
from hubrepo.kernel.blobs import blob_service
from hubrepo.kernel.security import OrganisationResource, closed_to, granted
from hubrepo.kernel.web import Resource, reify

# What the name patterns of keys call packages.
KIND = "packages"


class PackagesResource(Resource):
    """`/api/packages`: the packages of the credential's organisation."""

    def __init__(self, parent: OrganisationResource, name: str) -> None:
        super().__init__(parent, name)
        self.organisation = parent.organisation

    @property
    def __acl__(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Keys that are limited to packages are let in here."""
        return granted(self, KIND) if self.request.identity.only else []

    @reify
    def catalogue(self) -> Catalogue:
        """For reading."""
        return Catalogue(self.request.rows, self.organisation)

    @reify
    def service(self) -> PackageService:
        """For changing."""
        request = self.request
        return PackageService(
            request.db,
            self.organisation,
            blob_service(request, self.organisation),
            request.audit,
            request.now,
            caller=request.identity.display_name,
            reaches=partial(request.identity.reaches, KIND),
            username=request.identity.username,
            max_versions=request.registry.quotas.max_versions,
        )

    @reify
    def present(self) -> Presenter:
        """For showing."""
        return Presenter(self.request.script_name)

    def __getitem__(self, name: str) -> "PackageResource":
        spelled = name_in_url(name)
        if spelled is None:
            raise KeyError(name)
        return PackageResource(self, spelled)


class BelowPackages(Resource):
    """A node that knows the collection it is in."""

    def __init__(self, parent: "PackagesResource | BelowPackages", name: str) -> None:
        super().__init__(parent, name)
        self.packages: PackagesResource = (
            parent if isinstance(parent, PackagesResource) else parent.packages
        )
        self.package_name: str = (
            name if isinstance(parent, PackagesResource) else parent.package_name
        )

    @property
    def subject(self) -> str:
        """What refusals here are about, as the audit names it."""
        return f"package:{self.package_name}"


class PackageResource(BelowPackages):
    """`/api/packages/<name>`."""

    @property
    def __acl__(self) -> list[tuple[str, str, object]]:
        """A key that is limited to other packages has nothing to do here, whether there is one or not."""
        identity = self.request.identity
        return [] if identity.reaches(KIND, self.__name__) else closed_to(identity)


class VersionsResource(BelowPackages):
    """`…/versions`."""

    def __getitem__(self, name: str) -> "VersionResource":
        number = version_in_url(name)
        if number is None:
            raise KeyError(name)
        return VersionResource(self, name, number)


class VersionResource(BelowPackages):
    """`…/versions/<n>`."""

    def __init__(self, parent: VersionsResource, name: str, number: int) -> None:
        super().__init__(parent, name)
        self.number = number


class AliasesResource(BelowPackages):
    """`…/aliases`."""

    def __getitem__(self, name: str) -> "AliasResource":
        return AliasResource(self, name)


class AliasResource(BelowPackages):
    """`…/aliases/<alias>`, whatever the alias: a name that cannot be one gets an answer that says why."""
