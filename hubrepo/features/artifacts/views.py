"""HTTP: parse, call, present."""

import logging
from contextlib import closing
from functools import partial
from typing import Any

from pyramid.response import Response
from pyramid.view import view_config

from hubrepo.features.artifacts import errors, presenters, schemas
from hubrepo.features.artifacts.catalogue import Catalogue, VersionFacts
from hubrepo.features.artifacts.health import is_well
from hubrepo.features.artifacts.permissions import (
    DELETE,
    DOWNLOAD,
    MAINTAIN,
    SEE,
    TOKENS,
    UPLOAD,
    USE,
    WITHDRAW,
)
from hubrepo.features.artifacts.resources import (
    AddTokenResource,
    DeletedProduct,
    DeletedVersion,
    DeleteTokenResource,
    DeleteVersionResource,
    FetchedToken,
    HealthResource,
    ProductsResource,
    PrunedToken,
    RegisterResource,
    SentVersion,
    ShownProduct,
    UploadResource,
)
from hubrepo.kernel.blobs import BlobMissing, blob_reader
from hubrepo.kernel.idempotency import answer_once
from hubrepo.kernel.serving import Representation, lenient_disposition, respond

log = logging.getLogger(__name__)


@view_config(context=HealthResource, request_method="GET", permission=USE, renderer="json")
def show_health(context: HealthResource, request: Any) -> dict[str, str]:
    """200 while every part works, else 503."""
    report = context.report()
    request.response.status = 200 if is_well(report) else 503
    return report


@view_config(context=RegisterResource, request_method="PUT", permission=TOKENS)
def register(context: RegisterResource, request: Any) -> Response:
    """A new token: the only time that it is shown."""
    wish = schemas.token_wish(request)
    raw = context.tokens.issue(admin=wish.admin, label=wish.label)
    return Response(raw, status=201, content_type="text/plain", charset="utf-8")


@view_config(context=FetchedToken, request_method="GET", permission=USE, renderer="json")
def show_token(context: FetchedToken, request: Any) -> dict[str, object]:
    """A token of the organisation."""
    return presenters.token_json(context.artifacts.catalogue.token(context.digest))


@view_config(context=PrunedToken, request_method="DELETE", permission=TOKENS)
def prune(context: PrunedToken, request: Any) -> Response:
    """Remove a token, and its grants at all products."""
    context.artifacts.tokens.prune(context.digest)
    return Response(status=204)


@view_config(
    context=ProductsResource, name="access", request_method="GET", permission=USE, renderer="json"
)
def list_products(context: ProductsResource, request: Any) -> list[str]:
    """The names of the products that the token has a grant at; all of them, for an admin."""
    return context.names


@view_config(
    context=ProductsResource, name="create", request_method="PUT", permission=USE, renderer="json"
)
def create(context: ProductsResource, request: Any) -> dict[str, object]:
    """A new product, at which its creator may do everything."""
    name, creator = schemas.product_wish(request), request.identity.token_id
    context.products.create(name, creator)
    request.response.status = 201
    product = context.catalogue.product(name, creator)
    return presenters.product_json(name, context.catalogue.grants(product), [])


@view_config(context=ShownProduct, request_method="GET", permission=SEE, renderer="json")
def show_product(context: ShownProduct, request: Any) -> dict[str, object]:
    """A product, who may do what with it, and its versions."""
    product, catalogue = context.facts, context.artifacts.catalogue
    return presenters.product_json(
        product.name, catalogue.grants(product), catalogue.versions(product)
    )


@view_config(context=DeletedProduct, request_method="DELETE", permission=MAINTAIN)
def delete_product(context: DeletedProduct, request: Any) -> Response:
    """Remove a product and all its versions; its name is free again."""
    context.artifacts.products.delete(context.facts)
    return Response(status=204)


@view_config(context=AddTokenResource, request_method="PUT", permission=MAINTAIN, renderer="json")
def add_token(context: AddTokenResource, request: Any) -> dict[str, object]:
    """Set what a token may do with a product, in place of what it could."""
    wish = context.wish
    context.artifacts.products.set_grant(context.facts, wish.digest, wish.flags)
    request.response.status = 201
    permissions = presenters.flags_json(wish.flags)
    return {"product": wish.product, "token": wish.digest, "permissions": permissions}


@view_config(context=DeleteTokenResource, request_method="DELETE", permission=MAINTAIN)
def delete_token(context: DeleteTokenResource, request: Any) -> Response:
    """Let a token have nothing more to do with a product."""
    wish = context.wish
    context.artifacts.products.remove_grant(context.facts, wish.digest)
    return Response(status=204)


@view_config(
    context=DeleteVersionResource, request_method="DELETE", permission=WITHDRAW, renderer="json"
)
def withdraw(context: DeleteVersionResource, request: Any) -> dict[str, object]:
    """Remove a version and its bytes, as maintainers may too."""
    wish = context.wish
    context.artifacts.products.delete_version(context.facts, wish.version)
    return {"product": wish.product, "version": wish.version, "deleted": True}


@view_config(context=UploadResource, request_method="POST", permission=UPLOAD)
def upload(context: UploadResource, request: Any) -> Response:
    """A new version, of any bytes."""
    wish, product = context.wish, context.facts

    def act() -> object:
        products = context.artifacts.products
        blob = products.upload(product, wish.version, wish.filename, wish.stage)
        return presenters.uploaded_json(product.name, wish.version, wish.filename, blob)

    content = [wish.product, wish.version, wish.filename, wish.stage.digest]
    return answer_once(request, context.artifacts.organisation, content, 201, act)


@view_config(context=SentVersion, request_method="GET", permission=DOWNLOAD)
def download(context: SentVersion, request: Any) -> Response:
    """The bytes of a version."""
    catalogue = context.artifacts.catalogue
    try:
        return _send(context, request, catalogue.version(context.facts, context.identifier))
    except (BlobMissing, EOFError):
        pass
    # It may have been deleted between the row and its bytes: what is there now?
    with closing(request.registry.database.rows()) as rows:
        now = Catalogue(rows, context.artifacts.organisation)
        product = now.product(context.product_name, request.identity.token_id)
        if product != context.facts:
            # Another of that name, or with other rights: that was not asked for.
            raise errors.ProductNotFound
        version = now.version(product, context.identifier)
    try:
        return _send(context, request, version)
    except (BlobMissing, EOFError):
        log.exception("the bytes of %s %s are missing", context.product_name, version.identifier)
        raise errors.BytesNotFound from None


def _send(context: SentVersion, request: Any, version: VersionFacts) -> Response:
    reader = blob_reader(request, context.artifacts.organisation)
    link = partial(reader.link, version.digest) if request.registry.redirect_downloads else None
    what = Representation(
        digest=version.digest,
        size=version.size,
        modified=version.created_at,
        content_type="application/octet-stream",
        cache_control="private, no-cache",
        disposition=lenient_disposition(version.filename),
        headers=(("X-Checksum-Sha256", version.digest),),
        link=link,
    )
    return respond(request, what, partial(reader.open, version.digest))


@view_config(context=DeletedVersion, request_method="DELETE", permission=DELETE)
def delete_version(context: DeletedVersion, request: Any) -> Response:
    """Remove a version and its bytes."""
    context.artifacts.products.delete_version(context.facts, context.identifier)
    return Response(status=204)
