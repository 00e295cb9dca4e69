"""The nodes of this surface, at the root and below `/api` alike. The organisation is that of the token.

What a token may do with a product stands in the access list of the product's node, made of its grant
there. Where the body names the product, the node reads the body for it: so a request is judged in the
order that the contract has, first what is malformed, then what is missing, then what is forbidden.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

from pyramid.authorization import Allow

from hubrepo.features.artifacts import schemas
from hubrepo.features.artifacts.catalogue import Catalogue, ProductFacts
from hubrepo.features.artifacts.errors import (
    ProductNotFound,
    TokenNotFound,
    UnknownAction,
    VersionNotFound,
)
from hubrepo.features.artifacts.health import Health, NotWell, is_well
from hubrepo.features.artifacts.permissions import RIGHTS, SEE, TOKENS
from hubrepo.features.artifacts.services import ProductService, TokenService, hold_caller
from hubrepo.features.artifacts.tokens import digest_named, is_digest
from hubrepo.kernel.base import NotFound
from hubrepo.kernel.blobs import blob_service
from hubrepo.kernel.db import failure_of
from hubrepo.kernel.security import OrganisationResource
from hubrepo.kernel.web import Literal, Resource, has_encoded_slash, reify

AccessList = list[tuple[str, str, tuple[str, ...]]]


class ArtifactsResource(OrganisationResource):
    """A node at the top of the surface: the organisation of the token, without which there is no way in.

    Raises NotFound for a URL with an encoded slash: it is part of a name, and nothing here has one.
    """

    def __init__(self, parent: Resource, name: str) -> None:
        super().__init__(parent, name)
        if has_encoded_slash(self.request):
            raise NotFound

    @reify
    def catalogue(self) -> Catalogue:
        """For reading."""
        return Catalogue(self.request.rows, self.organisation)

    @reify
    def tokens(self) -> TokenService:
        """For changing tokens."""
        request, owner = self.request, self.organisation.id
        caller = request.identity.token_id
        return TokenService(request.db, owner, request.audit, request.now, caller)

    @reify
    def products(self) -> ProductService:
        """For changing products."""
        request = self.request
        hold_caller(request.db, request.identity.token_id)
        blobs = blob_service(request, self.organisation)
        return ProductService(request.db, self.organisation, blobs, request.audit, request.now)


class HealthResource(ArtifactsResource):
    """`/health`. The database is asked before it is known who calls: a silent one would never tell."""

    def __init__(self, parent: Resource, name: str) -> None:
        self._health: Health = parent.request.registry.artifact_health
        self._database: dict[str, str] = self._health.report("database")
        if not is_well(self._database):
            raise NotWell(self.report())
        try:
            super().__init__(parent, name)
        except Exception as error:
            if failure_of(error) is None:
                raise
            raise NotWell(self.report() | {"database": "Database is busy"}) from error

    def report(self) -> dict[str, str]:
        """How every part is."""
        others = self._health.names - self._database.keys()
        return {**self._database, **self._health.report(*others)}


class RegisterResource(ArtifactsResource):
    """`/register`."""


class TokenResource(Resource):
    """A token that a URL names, by itself or by its digest."""

    # Not what the URL says: that may be a secret.
    subject = "token"

    def __init__(self, parent: "FetchResource | PruneResource", name: str) -> None:
        super().__init__(parent, name)
        self.artifacts: ArtifactsResource = parent

    @property
    def digest(self) -> str:
        """The digest of the token that is meant. Raises TokenNotFound."""
        return digest_named(self.__name__)


class FetchedToken(TokenResource):
    """`/fetch/<token>`."""

    @property
    def digest(self) -> str:
        """The digest of the token that is meant; only admins may name it so. Raises TokenNotFound."""
        if is_digest(self.__name__) and not self.request.has_permission(TOKENS, self):
            raise TokenNotFound
        return super().digest


class PrunedToken(TokenResource):
    """`/prune/<token>`."""


class FetchResource(ArtifactsResource, Literal):
    """`/fetch`."""

    def below(self, rest: str) -> FetchedToken:
        """The token that a URL names whose rest is `rest`."""
        return FetchedToken(self, rest.removesuffix("/"))


class PruneResource(ArtifactsResource, Literal):
    """`/prune`."""

    def below(self, rest: str) -> PrunedToken:
        """The token that a URL names whose rest is `rest`."""
        return PrunedToken(self, rest.removesuffix("/"))


class ProductsResource(ArtifactsResource):
    """`/product`."""

    @property
    def names(self) -> list[str]:
        """The names of the products that the token may see."""
        sees_all = self.request.has_permission(SEE, self)
        return self.catalogue.names(None if sees_all else self.request.identity.token_id)


class ProductResource(Resource):
    """A product, and what the caller may do with it."""

    def __init__(self, parent: Resource, name: str, artifacts: ArtifactsResource) -> None:
        super().__init__(parent, name)
        self.artifacts = artifacts

    @property
    def product_name(self) -> str:
        """What it is called. Raises Invalid where only the body says so."""
        return self.__name__

    @reify
    def facts(self) -> ProductFacts:
        """The product, and the caller's flags there. Raises ProductNotFound."""
        # Where the body says it, that is read to its end before the database is touched.
        name = self.product_name
        if schemas.name_in_url(name) is None:
            raise ProductNotFound
        return self.artifacts.catalogue.product(name, self.request.identity.token_id)

    @property
    def __acl__(self) -> AccessList:
        """What the caller's own grant allows; what admins may is said above."""
        flags = self.facts.flags
        if flags is None:
            return []
        me = self.request.identity.own_principal
        return [(Allow, me, (SEE,)), *((Allow, me, RIGHTS[flag]) for flag in sorted(flags))]

    @property
    def subject(self) -> str:
        """What refusals here are about, as the audit names it."""
        return f"product:{self.product_name}"


class ShownProduct(ProductResource):
    """`/product/fetch/<product>`."""


class DeletedProduct(ProductResource):
    """`/product/delete/<product>`."""


class VersionResource(ProductResource):
    """A version of a product."""

    def __init__(
        self, parent: Resource, name: str, artifacts: ArtifactsResource, product: str
    ) -> None:
        super().__init__(parent, name, artifacts)
        self._product = product

    @property
    def product_name(self) -> str:
        """What the product is called."""
        return self._product

    @property
    def identifier(self) -> str:
        """What the version is called. Raises VersionNotFound for what cannot be a name."""
        if schemas.name_in_url(self.__name__) is None:
            raise VersionNotFound
        return self.__name__


class SentVersion(VersionResource):
    """`/product/download/<product>/<version>`."""


class DeletedVersion(VersionResource):
    """`/product/delete/<product>/<version>`."""


class ByName(Literal):
    """A node below which names stand, of a product or of a product and a version."""

    product: ClassVar[type[ProductResource] | None] = None
    version: ClassVar[type[VersionResource] | None] = None

    def __init__(self, parent: ProductsResource, name: str) -> None:
        super().__init__(parent, name)
        self.artifacts: ArtifactsResource = parent

    def below(self, rest: str) -> ProductResource:
        """What a URL names whose rest is `rest`. Raises ProductNotFound for what is no such path."""
        match rest.removesuffix("/").split("/"):
            case [product] if self.product is not None:
                return self.product(self, product, self.artifacts)
            case [product, version] if self.version is not None:
                return self.version(self, version, self.artifacts, product)
        raise ProductNotFound


class ShowResource(ByName):
    """`/product/fetch`."""

    product = ShownProduct


class DeleteResource(ByName):
    """`/product/delete`."""

    product = DeletedProduct
    version = DeletedVersion


class DownloadResource(ByName):
    """`/product/download`."""

    version = SentVersion


class Named(Protocol):
    """What a body says at least."""

    @property
    def product(self) -> str:
        """The name of a product."""


class NamedByBody(ProductResource, ABC):
    """A product that only the body names."""

    def __init__(self, parent: "ProductsResource | ModifyResource", name: str) -> None:
        artifacts = parent if isinstance(parent, ProductsResource) else parent.artifacts
        super().__init__(parent, name, artifacts)

    @property
    @abstractmethod
    def wish(self) -> Named:
        """What the request asks for. Raises Invalid."""

    @property
    def product_name(self) -> str:
        """What it is called. Raises Invalid."""
        return self.wish.product

    @property
    def subject(self) -> str:
        """What refusals here are about, as far as that was understood."""
        return super().subject if "wish" in vars(self) else "product"


class AddTokenResource(NamedByBody):
    """`/product/modify/addToken`."""

    @reify
    def wish(self) -> schemas.GrantWish:
        """Which token shall be able to do what."""
        return schemas.grant_wish(self.request)


class DeleteTokenResource(NamedByBody):
    """`/product/modify/deleteToken`."""

    @reify
    def wish(self) -> schemas.TokenAt:
        """Which token shall go."""
        return schemas.token_at(self.request)


class DeleteVersionResource(NamedByBody):
    """`/product/modify/deleteVersion`."""

    @reify
    def wish(self) -> schemas.VersionAt:
        """Which version shall go."""
        return schemas.version_at(self.request)


class UploadResource(NamedByBody):
    """`/product/upload`."""

    @reify
    def wish(self) -> schemas.UploadWish:
        """What shall become which version; read to its end."""
        request = self.request
        settings = request.registry.artifact_settings
        return schemas.upload_wish(request, self.artifacts.organisation, settings)


class ModifyResource(Resource):
    """`/product/modify`. Its clients are told of a word that is none of the three by 400, not by 404."""

    actions: ClassVar[dict[str, type[NamedByBody]]] = {
        "addToken": AddTokenResource,
        "deleteToken": DeleteTokenResource,
        "deleteVersion": DeleteVersionResource,
    }

    def __init__(self, parent: ProductsResource, name: str) -> None:
        super().__init__(parent, name)
        self.artifacts: ArtifactsResource = parent

    def __getitem__(self, name: str) -> Resource:
        if name not in self.actions:
            raise UnknownAction
        return self.actions[name](self, name)
