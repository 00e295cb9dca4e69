"""What happens to every request before a view is looked for, and to every answer after."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from pyramid.response import Response

from hubrepo.kernel.base import HubError, Invalid, one_line
from hubrepo.kernel.web.claims import Claims
from hubrepo.kernel.web.errors import body_of, internal_error, render
from hubrepo.kernel.web.metrics import Metrics

access = logging.getLogger("hubrepo.access")

# On every answer, unless its path has headers of its own.
HYGIENE = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)

Headers = Sequence[tuple[str, str]]
Handler = Callable[[Any], Response]


def observing(handler: Handler, registry: Any) -> Handler:
    """Tween, outermost: a request id, the security headers, one line of access log, metrics."""
    metrics: Metrics = registry.metrics
    hygiene: Claims[Headers] = registry.hygiene

    def tween(request: Any) -> Response:
        started = perf_counter()
        try:
            response = handler(request)
        except Exception as error:  # noqa: BLE001 - raised outside the exception views: still an answer
            response = internal_error(error, request)
        headers = response.headerlist
        present = {name for name, _ in headers}
        usual = hygiene.at(request.environ["PATH_INFO"])
        headers.extend(each for each in usual if each[0] not in present)
        headers.append(("X-Request-Id", request.id))
        seconds = perf_counter() - started
        metrics.observe(request.method, response.status_code, seconds)
        _log_access(request, response, seconds)
        return response

    return tween


def add_hygiene(config: Any, path: str, headers: Headers) -> None:
    """Directive: every answer at `path` and below, errors too, has these headers by default.

    They take the place of those that all others have.
    """
    config.action(("hygiene", path), partial(config.registry.hygiene.add, path, headers))


def answer_at(registry: Any, error: HubError, path: str) -> tuple[Headers, bytes]:
    """Headers and body of an answer to `error` at `path`, for those who refuse before anything is called."""
    _, content_type = registry.error_shapes.at(path)
    headers = (("Content-Type", content_type), *registry.hygiene.at(path))
    return headers, body_of(error, path, registry)


def _log_access(request: Any, response: Response, seconds: float) -> None:
    if not access.isEnabledFor(logging.INFO):
        return
    length = response.content_length
    facts = (
        request.remote_addr or "-",
        request.environ.get("hubrepo.actor", "-"),
        one_line(request.method),
        one_line(request.environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")),
        response.status_code,
        "-" if length is None else length,
        seconds * 1000,
    )
    # Not `access.info`: that looks up who called it, for each request the same.
    text = '%s %s "%s %s" %d %s %.1fms'
    record = access.makeRecord(access.name, logging.INFO, __name__, 0, text, facts, None)
    record.request_id = request.id
    access.handle(record)


def guarding_paths(handler: Handler, registry: Any) -> Handler:  # noqa: ARG001
    """Tween: refuse what is no path at all, before anything reads it."""

    def tween(request: Any) -> Response:
        raw = request.environ["PATH_INFO"]
        if not raw.isascii():
            try:
                raw.encode("latin-1").decode("utf-8")
            except UnicodeError:
                return render(Invalid("the URL is not valid UTF-8"), request)
        if not raw.startswith("/"):
            return render(Invalid("the URL has no path"), request)
        return handler(request)

    return tween
