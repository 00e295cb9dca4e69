"""A visit: what a stranger is answered who asks for a file of a page.

Whoever comes is a stranger: no credential is looked at, and an organisation without pages answers as
one that does not exist. What is sent comes straight from the published archive.
"""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import quote

from pyramid.response import Response

from hubrepo.features.pages.addresses import (
    NOT_FOUND,
    Address,
    FileFacts,
    Visited,
    led_to,
    visited,
)
from hubrepo.features.pages.rules import Lead
from hubrepo.kernel.base import HubError, NotFound, has_many_marks, is_one_line, is_slug, nfc
from hubrepo.kernel.blobs import BlobMissing, blob_reader
from hubrepo.kernel.db import Rows
from hubrepo.kernel.serving import Representation, redirect, respond_extent
from hubrepo.kernel.web import host_of

log = logging.getLogger(__name__)

REVALIDATE = "public, no-cache"
ATTEMPTS = 3

# No `allow-same-origin`: a page is of no origin, and the hub's sessions are not its own.
SANDBOX = (
    "sandbox allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-modals "
    "allow-downloads allow-top-navigation-by-user-activation allow-pointer-lock allow-presentation "
    "allow-orientation-lock"
)
# A page of no origin needs to be told that it may read its own files, like everybody else.
OPEN = (
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    # Who reads a file by ranges needs to see `Content-Range` and `ETag`.
    ("Access-Control-Expose-Headers", "*"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cache-Control", REVALIDATE),
)
PREFLIGHT = (
    ("Allow", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "*"),
    ("Access-Control-Max-Age", "86400"),
)
SANDBOXED = (("Content-Security-Policy", SANDBOX), *OPEN)

NOTHING_HERE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{status} {title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto; padding: 0 1.5rem; }}
h1 {{ font-size: 1.5rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16181d; color: #e8e8e8; }} }}
</style>
<h1>{title}</h1>
<p>{sentence}</p>
"""


def answer(request: Any, slug: str, path: str) -> Response:
    """The answer to a GET or HEAD of `/pages/<slug>/<path>`. Raises NotFound."""
    if (host := request.registry.pages_host) and host_of(request) != host.name:
        return redirect(f"{request.scheme}://{host.address}{request.path_qs}", 308)
    # Nothing has a name like that; nor would every database care to be asked.
    if len(path) > request.registry.longest_address or not is_one_line(path):
        raise NotFound
    if has_many_marks(path) or not is_slug(slug):
        raise NotFound
    path = nfc(path)
    for attempt in range(ATTEMPTS):
        try:
            if not attempt:
                return _visit(request, request.rows, slug, path)
            # A publication may have been let go of between its row and its bytes: what is there now?
            with closing(request.registry.database.rows()) as rows:
                return _visit(request, rows, slug, path)
        except (BlobMissing, EOFError):
            continue
    log.error("the archive behind /pages/%s/%s is missing or damaged", slug, path)
    raise NotFound


def _visit(request: Any, rows: Rows, slug: str, path: str) -> Response:
    page = visited(rows, slug, path)
    if page is None:
        raise NotFound
    return _Visit(request, rows, page).answer(page.within(path))


class _Visit:
    """One visit of a page that is there."""

    def __init__(self, request: Any, rows: Rows, page: Visited) -> None:
        self._request, self._rows, self._page, self._rules = request, rows, page, page.rules

    def answer(self, address: Address) -> Response:
        """The file that is asked for, or where it is, or what the page says when it has none."""
        file = self._page.first_of(address)
        lead = self._rules.lead(address.in_rules, forced=file is not None)
        if lead is not None:
            bare = lead.is_rewrite and address.path is None
            return self._add_slash() if bare else self._follow(lead)
        if file is None:
            return self._missing()
        bare = address.lacks_slash and file.path == address.index
        return self._add_slash() if bare else self._send(file)

    def _add_slash(self) -> Response:
        request = self._request
        query = f"?{request.query_string}" if request.query_string else ""
        return redirect(f"{request.path}/{query}", 308)

    def _follow(self, lead: Lead) -> Response:
        if lead.is_rewrite:
            file = led_to(self._rows, self._page, lead.target)
            return self._send(file, lead.status) if file is not None else self._missing()
        target, request = lead.target, self._request
        if target.startswith("/"):
            page = f"/pages/{request.context.slug}/{self._page.path}"
            target = f"{quote(request.script_name)}{page}{target}"
        if request.query_string and "?" not in target:
            target, hash_, fragment = target.partition("#")
            target = f"{target}?{request.query_string}{hash_}{fragment}"
        return redirect(target, lead.status)

    def _missing(self) -> Response:
        file = self._page.files.get(NOT_FOUND)
        if file is None:
            raise NotFound
        return self._send(file, 404)

    def _send(self, file: FileFacts, status: int = 200) -> Response:
        page = self._page
        headers = self._rules.headers_for(f"/{file.path}")
        # A client that keeps the file would keep what it was once told of it.
        variant = _digest_of(headers) if headers else None
        caching = headers.pop("cache-control", REVALIDATE)
        what = Representation(
            digest=file.extent.digest,
            size=file.extent.size,
            modified=page.changed_at if page.changed_at <= self._request.now else None,
            content_type=headers.pop("content-type", file.content_type),
            cache_control=caching if status == 200 else REVALIDATE,
            headers=[(name.title(), value) for name, value in headers.items()],
            variant=variant,
        )
        reader = blob_reader(self._request, page.organisation, page.store)
        return respond_extent(
            self._request, what, file.extent, partial(reader.open, page.digest), status
        )


def _digest_of(headers: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(headers.items())).encode()).hexdigest()[:16]


def error_page(error: HubError) -> str:
    """An error as visitors see it. It tells nothing of what is there and what is not."""
    if error.status == 404:
        title, sentence = "Not found", "There is nothing at this address."
    else:
        title, sentence = "Not possible", "The hub cannot answer this request."
    return NOTHING_HERE.format(status=error.status, title=title, sentence=sentence)
