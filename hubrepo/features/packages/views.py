"""HTTP: parse, call, present."""

import hashlib
import io
import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from pyramid.response import Response
from pyramid.view import view_config

from hubrepo.features.packages import errors, presenters, schemas
from hubrepo.features.packages.catalogue import Catalogue, VersionFacts
from hubrepo.features.packages.drafts import Draft
from hubrepo.features.packages.history import render
from hubrepo.features.packages.permissions import ALIAS, DELETE, PUBLISH, READ, TOMBSTONE
from hubrepo.features.packages.resources import (
    KIND,
    AliasesResource,
    AliasResource,
    PackageResource,
    PackagesResource,
    VersionResource,
    VersionsResource,
)
from hubrepo.features.packages.services import entry_text
from hubrepo.kernel.audit import event_json, events_of
from hubrepo.kernel.base import Forbidden
from hubrepo.kernel.blobs import BlobMissing, blob_reader, read_upload
from hubrepo.kernel.idempotency import answer_once
from hubrepo.kernel.serving import Representation, disposition, respond
from hubrepo.kernel.web import link_next, page_of, read_fields

log = logging.getLogger(__name__)

FOREVER = "private, immutable"
REVALIDATE = "private, no-cache"


@view_config(context=PackagesResource, request_method="GET", permission=READ, renderer="json")
def list_packages(context: PackagesResource, request: Any) -> list[object]:
    """All packages by name, or a page of them."""
    page = page_of(request)
    rows, more = page.cut(context.catalogue.packages(page, request.identity.names(KIND)))
    if more:
        link_next(request, page, rows[-1].package.name)
    return [context.present.listed(row) for row in rows]


@view_config(context=PackagesResource, request_method="POST", permission=PUBLISH)
def register(context: PackagesResource, request: Any) -> Response:
    """A new, empty package."""
    name = schemas.registered_name(read_fields(request))
    if not request.has_permission(PUBLISH, PackageResource(context, name)):
        raise Forbidden

    def act() -> object:
        return context.present.package(context.service.register(name), [], [])

    return answer_once(request, context.organisation, name, 201, act)


@view_config(context=PackageResource, request_method="GET", permission=READ, renderer="json")
def show_package(context: PackageResource, request: Any) -> dict[str, object]:
    """A package with its versions and aliases."""
    return context.packages.present.package(
        *context.packages.catalogue.detail(context.package_name)
    )


@view_config(context=PackageResource, request_method="DELETE", permission=DELETE)
def delete_package(context: PackageResource, request: Any) -> Response:
    """Tombstone every version; the package stays, its name taken."""
    limits = request.registry.package_settings
    context.packages.service.delete(
        context.package_name, lambda: schemas.tombstone_reason(read_fields(request), limits)
    )
    return Response(status=204)


@view_config(context=PackageResource, name="latest", request_method="GET", permission=READ)
def download_latest(context: PackageResource, request: Any) -> Response:
    """The bytes of the newest live version."""
    name = context.package_name
    return _download(context, request, lambda catalogue: catalogue.latest(name), REVALIDATE)


@view_config(context=PackageResource, name="history", request_method="GET", permission=READ)
def show_history(context: PackageResource, request: Any) -> Response:
    """HISTORY.md as it would be written now."""
    catalogue = context.packages.catalogue
    return _markdown(request, render(catalogue.chapters(context.package_name), entry_text))


@view_config(
    context=PackageResource, name="log", request_method="GET", permission=READ, renderer="json"
)
def show_log(context: PackageResource, request: Any) -> list[object]:
    """Who did what to the package, newest first: always a page."""
    package = context.packages.catalogue.package(context.package_name)
    page = page_of(request, default_limit=100)
    events, more = page.cut(
        events_of(
            request.db, context.packages.organisation.id,
            subject=f"package:{package.name}", before=page.after_guid(), limit=page.fetch,
        )
    )  # fmt: skip
    if more:
        link_next(request, page, events[-1].guid)
    return [event_json(event) for event in events]


@view_config(context=VersionsResource, request_method="GET", permission=READ, renderer="json")
def list_versions(context: VersionsResource, request: Any) -> list[object]:
    """All versions, newest first, or a page of them."""
    page = page_of(request)
    package = context.packages.catalogue.package(context.package_name)
    rows, more = page.cut(context.packages.catalogue.versions(package, page))
    if more:
        link_next(request, page, rows[-1].number)
    return [context.packages.present.version(package.name, row) for row in rows]


@view_config(context=VersionsResource, request_method="POST", permission=PUBLISH)
def publish(context: VersionsResource, request: Any) -> Response:
    """The next version. No row is touched before the upload is checked and copied."""
    stage, fields, *_ = read_upload(request, context.packages.organisation)
    wish = schemas.publish_wish(fields, request.registry.package_settings)
    with stage.reader() as file:
        draft = Draft(file, request.registry.archive_limits, request.registry.stores.main.stage)
    request.add_finished_callback(lambda _: draft.discard())

    def act() -> object:
        version = context.packages.service.publish(context.package_name, draft, wish)
        return context.packages.present.version(context.package_name, version)

    content = [stage.digest, sorted(fields.items())]
    return answer_once(request, context.packages.organisation, content, 201, act)


@view_config(context=VersionResource, request_method="GET", permission=READ, renderer="json")
def show_version(context: VersionResource, request: Any) -> dict[str, object]:
    """A version, tombstoned or not."""
    version = context.packages.catalogue.version(context.package_name, context.number)
    return context.packages.present.version(context.package_name, version)


@view_config(
    context=VersionResource, request_method="DELETE", permission=TOMBSTONE, renderer="json"
)
def tombstone(context: VersionResource, request: Any) -> dict[str, object]:
    """Remove the bytes, keep the rest."""
    service = context.packages.service
    package, version = service.version_to_tombstone(context.package_name, context.number)
    reason = schemas.tombstone_reason(read_fields(request), request.registry.package_settings)
    service.tombstone(package, version, reason)
    return context.packages.present.version(package.name, version)


@view_config(context=VersionResource, name="download", request_method="GET", permission=READ)
def download(context: VersionResource, request: Any) -> Response:
    """The bytes of a version."""
    name, number = context.package_name, context.number
    return _download(context, request, lambda catalogue: catalogue.version(name, number), FOREVER)


@view_config(context=VersionResource, name="history", request_method="GET", permission=READ)
def show_history_as_of(context: VersionResource, request: Any) -> Response:
    """HISTORY.md without what came after this version."""
    catalogue = context.packages.catalogue
    package = catalogue.package(context.package_name)
    if catalogue.find_version(package, context.number) is None:
        raise errors.VersionNotFound
    return _markdown(request, render(catalogue.chapters(package.name, context.number), entry_text))


@view_config(context=AliasesResource, request_method="GET", permission=READ, renderer="json")
def list_aliases(context: AliasesResource, request: Any) -> list[object]:
    """All aliases of a package, by name."""
    catalogue = context.packages.catalogue
    return [
        presenters.alias_json(each)
        for each in catalogue.aliases(catalogue.package(context.package_name))
    ]


@view_config(context=AliasResource, request_method="GET", permission=READ, renderer="json")
def show_alias(context: AliasResource, request: Any) -> dict[str, object]:
    """An alias."""
    catalogue = context.packages.catalogue
    return presenters.alias_json(
        catalogue.alias(catalogue.package(context.package_name), context.__name__)
    )


@view_config(context=AliasResource, name="download", request_method="GET", permission=READ)
def download_alias(context: AliasResource, request: Any) -> Response:
    """The bytes of the version that an alias points to."""
    name, alias = context.package_name, context.__name__
    return _download(
        context, request, lambda catalogue: catalogue.at_alias(name, alias), REVALIDATE
    )


@view_config(context=AliasResource, request_method="PUT", permission=ALIAS, renderer="json")
def set_alias(context: AliasResource, request: Any) -> dict[str, object]:
    """Point an alias to a version."""
    name = schemas.checked_alias(context.__name__)
    number = schemas.alias_target(read_fields(request))
    return presenters.alias_json(
        context.packages.service.set_alias(context.package_name, name, number)
    )


@view_config(context=AliasResource, request_method="DELETE", permission=ALIAS)
def remove_alias(context: AliasResource, request: Any) -> Response:
    """Remove an alias; the version stays."""
    context.packages.service.remove_alias(
        context.package_name, schemas.checked_alias(context.__name__)
    )
    return Response(status=204)


def _download(
    context: PackageResource | VersionResource | AliasResource,
    request: Any,
    find: Callable[[Catalogue], VersionFacts],
    caching: str,
) -> Response:
    """The bytes of the version that `find` finds. Raises VersionTombstoned, BytesNotFound."""
    packages = context.packages
    try:
        return _send(context, request, find(packages.catalogue), caching)
    except (BlobMissing, EOFError):
        pass
    # A tombstone may have come between the row and its bytes: what is there now?
    with closing(request.registry.database.rows()) as rows:
        version = find(Catalogue(rows, packages.organisation))
    try:
        return _send(context, request, version, caching)
    except (BlobMissing, EOFError):
        log.exception(
            "the bytes of %s version %d are missing", context.package_name, version.number
        )
        raise errors.BytesNotFound from None


def _send(
    context: PackageResource | VersionResource | AliasResource,
    request: Any,
    version: VersionFacts,
    caching: str,
) -> Response:
    name = context.package_name
    if version.tombstoned_at is not None:
        raise errors.VersionTombstoned(presenters.tombstone_facts(name, version))
    reader = blob_reader(request, context.packages.organisation)
    what = Representation(
        digest=version.digest,
        size=version.size,
        modified=version.published_at,
        content_type="application/zip",
        cache_control=caching,
        disposition=disposition(f"{name}-v{version.number}.zip"),
        link=partial(reader.link, version.digest) if request.registry.redirect_downloads else None,
    )
    return respond(request, what, partial(reader.open, version.digest))


def _markdown(request: Any, text: str) -> Response:
    body = text.encode()
    what = Representation(
        digest=hashlib.sha256(body).hexdigest(),
        size=len(body),
        modified=None,
        content_type="text/markdown; charset=utf-8",
        cache_control=REVALIDATE,
    )
    return respond(request, what, lambda start, length: io.BytesIO(body[start : start + length]))
