"""What happens to every request before a view is looked for, and to every answer after."""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Histogram
from pyramid.response import Response

from hubrepo.kernel.base import Invalid, one_line
from hubrepo.kernel.web.errors import internal_error, render

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


class Metrics:
    """Durations of requests, by method and status, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "hubrepo_request_seconds",
            "Duration of requests until the first byte of the answer.",
            ["method", "status"],
            registry=self.registry,
        )
        self._series: dict[tuple[str, int], Histogram] = {}

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Count one request. Methods that HTTP does not know are one series."""
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} else "other"
        series = self._series.get((known, status))
        if series is None:
            series = self._series[known, status] = self._seconds.labels(known, str(status))
        series.observe(seconds)


def observing(handler: Handler, registry: Any) -> Handler:
    """Tween, outermost: a request id, the security headers, one line of access log, metrics."""
    metrics: Metrics = registry.metrics

    def tween(request: Any) -> Response:
        started = perf_counter()
        try:
            response = handler(request)
        except Exception as error:  # noqa: BLE001 - raised outside the exception views: still an answer
            response = internal_error(error, request)
        headers = response.headerlist
        present = {name for name, _ in headers}
        hygiene = _hygiene(request.environ["PATH_INFO"], registry.hygiene)
        headers.extend(each for each in hygiene if each[0] not in present)
        headers.append(("X-Request-Id", request.id))
        seconds = perf_counter() - started
        metrics.observe(request.method, response.status_code, seconds)
        _log_access(request, response, seconds)
        return response

    return tween


def add_hygiene(config: Any, mount: str, headers: Headers) -> None:
    """Directive: every answer below the path `mount`, errors too, has these headers by default.

    They take the place of those that all others have; the longest path wins.
    """

    def claim() -> None:
        claimed: list[tuple[str, Headers]] = config.registry.hygiene
        claimed.append((mount, headers))
        claimed.sort(key=lambda each: len(each[0]), reverse=True)

    config.action(("hygiene", mount), claim)


def _hygiene(path: str, claimed: Sequence[tuple[str, Headers]]) -> Headers:
    for mount, headers in claimed:
        if path.startswith(mount) and path[len(mount) : len(mount) + 1] in {"", "/"}:
            return headers
    return HYGIENE


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
