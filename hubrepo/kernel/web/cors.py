"""Scripts of other sites: they may call `/api` from the origins that a setting names, and from no other.

A browser asks first (a preflight), without the key, so that is answered before anybody looks for one.
Keys travel in a header that scripts set themselves; cookies are never asked for.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyramid.response import Response

from hubrepo.kernel.base import Misconfigured, setting

ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-Modified-Since", "If-None-Match",
    "If-Range", "If-Unmodified-Since", "Range",
)  # fmt: skip
EXPOSED_HEADERS = (
    "Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "ETag", "Link", "Repr-Digest",
    "Retry-After", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
# A browser may remember for so many seconds what it was allowed.
REMEMBERED = "7200"

_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

Handler = Callable[[Any], Response]


@dataclass(frozen=True)
class CrossOriginSettings:
    """Who may call from a browser."""

    cors_origins: str = setting(
        "",
        help="Origins of other sites whose scripts may call `/api`, such as "
        "`https://app.example.com`, separated by spaces. Empty: none. `*`: all.",
    )

    def origins(self) -> frozenset[str]:
        """The origins. Raises Misconfigured for what is none."""
        found = frozenset(self.cors_origins.split())
        for each in found - {"*"}:
            port = _DEFAULT_PORTS.get(each.partition(":")[0], "")
            if not _ORIGIN.fullmatch(each) or each.endswith(port):
                raise Misconfigured(
                    f"hubrepo.cors_origins: {each!r} is no origin as browsers send it: scheme and host in "
                    "small letters, and the port where it is not the usual one"
                )
        return found


class SharedHeaders:
    """The headers that such scripts may send, and those that they may read, sorted."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ALLOWED_HEADERS
        self.exposed: tuple[str, ...] = EXPOSED_HEADERS

    def add(self, allowed: Iterable[str], exposed: Iterable[str]) -> None:
        """Let them send and read some more."""
        self.allowed = tuple(sorted({*self.allowed, *allowed}))
        self.exposed = tuple(sorted({*self.exposed, *exposed}))


def add_shared_headers(
    config: Any, name: str, allowed: Iterable[str], exposed: Iterable[str]
) -> None:
    """Directive: scripts of other sites may send the headers `allowed` and read those `exposed`, too."""
    claim = partial(config.registry.shared_headers.add, allowed, exposed)
    config.action(("shared headers", name), claim)


def sharing(handler: Handler, registry: Any) -> Handler:
    """Tween: says which answers other sites may read. Without origins it is not there at all."""
    origins: frozenset[str] = registry.cors_origins
    shared: SharedHeaders = registry.shared_headers
    if not origins:
        return handler

    def tween(request: Any) -> Response:
        if not _is_api(request.environ["PATH_INFO"]):
            return handler(request)
        origin = request.headers.get("Origin", "")
        allowed = bool(origin) and (origin in origins or "*" in origins)
        response = _permission(shared) if allowed and _is_preflight(request) else handler(request)
        headers = response.headers
        if allowed:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = ", ".join(shared.exposed)
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
        return response

    return tween


def _is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _is_preflight(request: Any) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _permission(shared: SharedHeaders) -> Response:
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
    response.headers["Access-Control-Allow-Headers"] = ", ".join(shared.allowed)
    response.headers["Access-Control-Max-Age"] = REMEMBERED
    return response
