"""`/_ah`: what those who run the hub look at. No credential is asked for, and nothing is told."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from hubrepo.kernel.base import NotFound, setting
from hubrepo.kernel.web.resources import Resource, RootResource

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OperationsSettings:
    """What is shown to those who run the hub."""

    metrics: bool = setting(
        False,
        help="Answer `/_ah/metrics`, for Prometheus. It asks for no key: keep it behind the proxy.",
    )


class OperationsResource(Resource):
    """`/_ah`."""


def add_health_check(config: Any, name: str, check: Callable[[], object]) -> None:
    """Directive: the hub is healthy only while `check()` does not raise."""
    config.action(("health", name), lambda: config.registry.health_checks.update({name: check}))


@view_config(
    context=OperationsResource, name="health", request_method="GET", renderer="json",
    permission=NO_PERMISSION_REQUIRED, http_cache=0,
)  # fmt: skip
def health(context: OperationsResource, request: Any) -> dict[str, str]:  # noqa: ARG001
    """200 while every part works, else 503. Says which part, not why: that is in the log."""
    report = {name: _state(name, check) for name, check in request.registry.health_checks.items()}
    healthy = all(state == "ok" for state in report.values())
    request.response.status = 200 if healthy else 503
    return {"status": "ok" if healthy else "failing", **report}


def _state(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except Exception:
        log.exception("health check of %s failed", name)
        return "failing"
    return "ok"


@view_config(
    context=OperationsResource,
    name="metrics",
    request_method="GET",
    permission=NO_PERMISSION_REQUIRED,
)
def metrics(context: OperationsResource, request: Any) -> Response:  # noqa: ARG001
    """What Prometheus reads."""
    if not request.registry.operations_settings.metrics:
        raise NotFound
    return Response(request.registry.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def includeme(config: Any) -> None:
    """Mount `/_ah`."""
    config.registry.health_checks = {}
    config.registry.operations_settings = config.add_section(OperationsSettings, "hubrepo")
    config.add_directive("add_health_check", add_health_check)
    config.add_mount(RootResource, "_ah", OperationsResource)
    config.scan(__name__)
