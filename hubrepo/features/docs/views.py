"""HTTP: the description, made once for every prefix that the hub's URLs begin with."""

import hashlib
import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from hubrepo.features.docs.presenters import STYLE_HASH, page
from hubrepo.features.docs.resources import DocsResource, OpenAPIResource
from hubrepo.kernel.base import NotFound
from hubrepo.kernel.openapi import Document
from hubrepo.kernel.serving import Representation, redirect, respond
from hubrepo.kernel.web import RootResource

# Nothing but the page and its own style: it would work in a place without a network.
POLICY = (
    f"default-src 'none'; style-src '{STYLE_HASH}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Rendered(NamedTuple):
    """Bytes to send, and their hex SHA-256."""

    body: bytes
    digest: str


def _rendered(body: bytes) -> Rendered:
    return Rendered(body, hashlib.sha256(body).hexdigest())


@lru_cache(maxsize=8)
def _json_of(document: Document, prefix: str) -> Rendered:
    return _rendered(orjson.dumps(document.at(prefix)))


@lru_cache(maxsize=8)
def _page_of(document: Document, prefix: str) -> Rendered:
    return _rendered(page(document.at(prefix), prefix).encode())


@view_config(context=RootResource, request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_start(context: RootResource, request: Any) -> Response:
    """Redirect to the description. A host that serves only pages has none: NotFound."""
    try:
        context["docs"]
    except KeyError:
        raise NotFound from None
    return redirect(f"{quote(request.script_name)}/docs", 303)


@view_config(context=OpenAPIResource, request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_document(context: OpenAPIResource, request: Any) -> Response:
    """The description, in OpenAPI 3.1."""
    return _send(request, _json_of, "application/json")


@view_config(context=DocsResource, request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_page(context: DocsResource, request: Any) -> Response:
    """The description, to be read."""
    headers = (("Content-Security-Policy", POLICY),)
    return _send(request, _page_of, "text/html; charset=utf-8", headers)


def _send(
    request: Any,
    render: Callable[[Document, str], Rendered],
    content_type: str,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    body, digest = render(request.registry.document, request.script_name)
    what = Representation(
        digest=digest,
        size=len(body),
        modified=None,
        content_type=content_type,
        cache_control="public, no-cache",
        headers=headers,
    )
    return respond(request, what, lambda start, length: io.BytesIO(body[start : start + length]))
