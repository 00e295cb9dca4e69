"""HTTP: parse, call, present."""

from typing import Any

from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from hubrepo.features.pages import presenters, schemas
from hubrepo.features.pages.bundles import Bundle
from hubrepo.features.pages.catalogue import cursor_of
from hubrepo.features.pages.models import PAGES
from hubrepo.features.pages.permissions import FORGET, PUBLISH, READ, ROLL_BACK, UNPUBLISH
from hubrepo.features.pages.resources import (
    DifferenceResource,
    ForgetResource,
    PageResource,
    PagesResource,
    PublicationResource,
    PublicationsResource,
    PublishedResource,
    RollbackResource,
)
from hubrepo.features.pages.visits import PREFLIGHT, answer
from hubrepo.kernel.base import HubError
from hubrepo.kernel.blobs import read_upload
from hubrepo.kernel.idempotency import answer_once
from hubrepo.kernel.web import link_next, page_of, read_fields


@view_config(context=PagesResource, request_method="GET", permission=READ, renderer="json")
def list_pages(context: PagesResource, request: Any) -> list[object]:
    """All live pages, last published first, or a page of them."""
    page = page_of(request)
    rows, more = page.cut(context.catalogue.pages(page))
    if more:
        link_next(request, page, cursor_of(rows[-1]))
    return [context.present.listed(row) for row in rows]


@view_config(context=PagesResource, request_method="POST", permission=PUBLISH)
def publish(context: PagesResource, request: Any) -> Response:
    """Make an archive live. No row is touched before it is read from end to end."""
    stage, fields, *_ = read_upload(request, context.organisation, PAGES)
    wish = schemas.publish_wish(fields)
    with stage.reader() as file:
        bundle = Bundle(file, request.registry.archive_limits, wish)
    stage.sync()
    username = request.caller.username
    publisher = username or wish.author or request.caller.display_name

    def act() -> object:
        return context.present.page(context.service.publish(bundle, stage, publisher))

    content = [stage.digest, sorted(fields.items())]
    return answer_once(request, context.organisation, content, 201, act)


@view_config(context=PageResource, request_method="GET", permission=READ, renderer="json")
def show_page(context: PageResource, request: Any) -> dict[str, object]:
    """A live page."""
    return context.pages.present.page(context.pages.catalogue.page(context.path))


@view_config(context=PageResource, request_method="DELETE", permission=UNPUBLISH)
def unpublish(context: PageResource, request: Any) -> Response:
    """Take a page down; what it was is kept for a while."""
    path = context.path
    try:
        reason = schemas.unpublish_reason(read_fields(request))
    except HubError:
        reason = ""  # clients of the reference may send whatever they like here
    context.pages.service.unpublish(path, reason)
    return Response(status=204)


@view_config(context=PublicationsResource, request_method="GET", permission=READ, renderer="json")
def list_publications(context: PublicationsResource, request: Any) -> object:
    """What is kept of a page, newest first; the page itself, if that is what is at this path."""
    if (itself := context.itself) is not None:
        return context.pages.present.page(itself)
    page = page_of(request)
    rows, more = page.cut(context.pages.catalogue.publications(context.page_path, page))
    if more:
        link_next(request, page, rows[-1].number)
    return [presenters.publication_json(row) for row in rows]


@view_config(context=PublicationResource, request_method="GET", permission=READ, renderer="json")
def show_publication(context: PublicationResource, request: Any) -> dict[str, object]:
    """One publication that is kept."""
    if (itself := context.itself) is not None:
        return context.pages.present.page(itself)
    found = context.pages.catalogue.publication(context.page_path, context.number)
    return presenters.publication_json(found)


@view_config(context=ForgetResource, request_method="POST", permission=FORGET)
def forget(context: ForgetResource, request: Any) -> Response:
    """Remove a past publication, and its bytes, before its time."""
    context.pages.service.forget(context.page_path, context.number)
    return Response(status=204)


@view_config(context=RollbackResource, request_method="POST", permission=ROLL_BACK)
def roll_back(context: RollbackResource, request: Any) -> Response:
    """Make a publication live again."""
    path = context.page_path
    number = schemas.publication_wish(read_fields(request))

    def act() -> object:
        return context.pages.present.page(context.pages.service.roll_back(path, number))

    return answer_once(request, context.pages.organisation, number, 200, act)


@view_config(context=DifferenceResource, request_method="GET", permission=READ, renderer="json")
def show_difference(context: DifferenceResource, request: Any) -> dict[str, object]:
    """Which files came, went and changed between two publications."""
    if (itself := context.itself) is not None:
        return context.pages.present.page(itself)
    catalogue, path = context.pages.catalogue, context.page_path
    old = catalogue.publication(path, context.old)
    new = catalogue.publication(path, context.new)
    return presenters.difference_json(old, new, catalogue.difference(old, new))


# One view for both: of two, Pyramid would try one after the other at each visit.
@view_config(
    context=PublishedResource,
    request_method=("GET", "OPTIONS"),
    permission=NO_PERMISSION_REQUIRED,
)
def visit(context: PublishedResource, request: Any) -> Response:
    """A file of a page, for everybody; and whether a script may ask for it, which it may."""
    if request.method == "OPTIONS":
        return Response(status=204, headerlist=list(PREFLIGHT))
    return answer(request, context.slug, context.__name__)
