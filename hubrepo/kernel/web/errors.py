"""The one place where errors become answers.

2xx and 3xx are returned and commit; everything else is raised and aborts. What a surface's clients
know as an error is a shape, claimed for a path by `add_error_shape`; the longest path wins.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPNotFound
from pyramid.response import Response

from hubrepo.kernel.base import Forbidden, HubError, NotFound, Unauthenticated, redacted
from hubrepo.kernel.web.claims import Claims

log = logging.getLogger(__name__)

Shape = Callable[[HubError], object]
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class RequestRefused:
    """A request ends in a 4xx. Its transaction is still open, and will be aborted."""

    request: Any
    error: HubError


class MethodNotAllowed(HubError):
    """There is such a URL, but not with this method."""

    status = 405
    code = "method-not-allowed"


class InternalError(HubError):
    """A bug. The answer tells where to look, and nothing else."""

    status = 500
    code = "internal-error"
    message = "internal error"


class _PlainError(HubError):
    """A refusal by the framework, with its own status."""

    def __init__(self, error: HTTPException) -> None:
        super().__init__(error.explanation or error.title)
        self.status = error.status_code


def detail(error: HubError) -> dict[str, object]:
    """`{"detail": …}`: the shape of packages and pages, and of everything that claims no other."""
    return {"detail": error.message, **error.fields}


def add_error_shape(config: Any, path: str, shape: Shape, content_type: str = JSON_TYPE) -> None:
    """Directive: errors at `path` and below look as `shape` makes them: a JSON value, or a text."""
    claim = partial(config.registry.error_shapes.add, path, (shape, content_type))
    config.action(("error shape", path), claim)


def add_error_translation(
    config: Any, kind: type[Exception], translate: Callable[[Any], HubError | None]
) -> None:
    """Directive: errors of a library below us, as errors of ours; None for what is a bug."""

    def view(error: Exception, request: Any) -> Response:
        known = translate(error)
        return render(known, request) if known is not None else internal_error(error, request)

    config.add_exception_view(view, context=kind)


def add_refusal_observer(config: Any, observe: Callable[[RequestRefused], None]) -> None:
    """Directive: `observe` is told of every request that ends in a 4xx.

    Not a subscriber of Pyramid's: one of these makes every event of every request cost.
    """
    observers = config.registry.refusal_observers
    config.action(("refusal observer", observe), lambda: observers.append(observe))


def render(error: HubError, request: Any) -> Response:
    """The answer to `error`, in the shape of the surface that was called."""
    if 400 <= error.status < 500:
        for observe in request.registry.refusal_observers:
            observe(RequestRefused(request, error))
    path = request.environ["PATH_INFO"]
    _, content_type = request.registry.error_shapes.at(path)
    body = body_of(error, path, request.registry)
    response = Response(body, status=error.status)
    response.headerlist[:] = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(response.body))),
        *error.headers.items(),
    ]
    return response


def body_of(error: HubError, path: str, registry: Any) -> bytes:
    """What says `error` to those who called `path`."""
    shapes: Claims[tuple[Shape, str]] = registry.error_shapes
    shape, _ = shapes.at(path)
    # Whoever put a secret where it does not belong need not read it again, and proxies keep answers.
    value = redacted(shape(error))
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def not_found(error: HTTPNotFound, request: Any) -> Response:  # noqa: ARG001
    """No view: 405 where another method has one, else 404. OPTIONS lists the methods."""
    context, name = getattr(request, "context", None), getattr(request, "view_name", "")
    methods = set() if request.subpath else request.registry.methods.of(type(context), name)
    if not methods or isinstance(context, Exception):
        return render(NotFound(), request)
    allow = {"Allow": ", ".join(sorted(methods | {"OPTIONS"}))}
    if request.method == "OPTIONS":
        return Response(status=200, json_body={"methods": sorted(methods)}, headers=allow)
    return render(
        MethodNotAllowed(f'Method "{request.method}" not allowed.', headers=allow), request
    )


def forbidden(error: HTTPForbidden, request: Any) -> Response:  # noqa: ARG001
    """The policy said no: to nobody in particular, or to somebody."""
    return render(Unauthenticated() if request.identity is None else Forbidden(), request)


def http_error(error: HTTPException, request: Any) -> Response:
    """An answer that the framework raised."""
    return render(_PlainError(error), request)


def internal_error(error: Exception, request: Any) -> Response:
    """Anything else is a bug: it goes to the log, not to the client."""
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return render(InternalError(fields={"request_id": request.id}), request)


def includeme(config: Any) -> None:
    """Register the exception views."""
    config.registry.error_shapes = Claims[tuple[Shape, str]]((detail, JSON_TYPE))
    config.registry.refusal_observers = []
    config.add_directive("add_error_shape", add_error_shape)
    config.add_directive("add_error_translation", add_error_translation)
    config.add_directive("add_refusal_observer", add_refusal_observer)
    config.add_exception_view(internal_error, context=Exception)
    config.add_exception_view(render, context=HubError)
    config.add_exception_view(http_error, context=HTTPException)
    config.add_notfound_view(not_found)
    config.add_forbidden_view(forbidden)
