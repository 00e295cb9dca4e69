"""HTTP: the tree's root, directives, errors, bodies, paging. Knows no database and no credential."""

from typing import Any

import orjson

from hubrepo.kernel.base import now
from hubrepo.kernel.web.bodies import (
    FileTooLarge,
    Form,
    UploadSettings,
    read_fields,
    read_form,
    read_json,
)
from hubrepo.kernel.web.claims import Claims
from hubrepo.kernel.web.cors import CrossOriginSettings, SharedHeaders, add_shared_headers
from hubrepo.kernel.web.errors import RequestRefused, body_of
from hubrepo.kernel.web.methods import Methods, RegisteredView, exact_path
from hubrepo.kernel.web.metrics import Metrics, share_metrics
from hubrepo.kernel.web.operations import OperationsResource, health, metrics
from hubrepo.kernel.web.paging import link_next, page_of
from hubrepo.kernel.web.requests import (
    is_safe,
    make_router,
    reify,
    request_id,
    settle_request_class,
)
from hubrepo.kernel.web.resources import (
    Resource,
    RootResource,
    add_host,
    add_mount,
    host_of,
    mounts_of,
)
from hubrepo.kernel.web.sections import add_section, refuse_unknown_settings
from hubrepo.kernel.web.traversal import Literal, Traverser, has_encoded_slash
from hubrepo.kernel.web.tweens import HYGIENE, Headers, access, add_hygiene, answer_at

__all__ = [
    "HYGIENE",
    "Claims",
    "FileTooLarge",
    "Form",
    "Headers",
    "Literal",
    "OperationsResource",
    "RegisteredView",
    "RequestRefused",
    "Resource",
    "RootResource",
    "UploadSettings",
    "access",
    "answer_at",
    "body_of",
    "has_encoded_slash",
    "health",
    "host_of",
    "link_next",
    "make_router",
    "metrics",
    "mounts_of",
    "page_of",
    "read_fields",
    "read_form",
    "read_json",
    "reify",
    "settle",
    "share_metrics",
]

# A permission that nothing grants: a view that names no other is closed.
NOBODY = "nobody"


class JSON:
    """Renderer: compact UTF-8 JSON, without a charset in its type."""

    def __init__(self, info: Any) -> None:
        pass

    def __call__(self, value: object, system: Any) -> bytes:
        system["request"].response.content_type = "application/json"
        return orjson.dumps(value)


def attempts(request: Any) -> int | None:
    """How often a request may be tried. A large body once: to read it again it would be copied."""
    return 1 if is_safe(request) or (request.content_length or 0) > 64 * 1024 else None


def settle(config: Any) -> None:
    """What can be done only once everything is included and committed. Raises Misconfigured."""
    refuse_unknown_settings(config.registry)
    settle_request_class(config)
    config.registry.methods = Methods(config.introspector)


def includeme(config: Any) -> None:
    """Lay the ground that every other part stands on."""
    registry = config.registry
    registry.mounts, registry.known_settings = {}, {}
    registry.hosts, registry.hygiene = {}, Claims(HYGIENE)
    registry.metrics, registry.clock = Metrics(), now
    config.add_directive("add_section", add_section)
    config.add_directive("add_mount", add_mount)
    config.add_directive("add_host", add_host)
    config.add_directive("add_hygiene", add_hygiene)
    config.add_directive("add_shared_headers", add_shared_headers)
    registry.cors_origins = config.add_section(CrossOriginSettings, "hubrepo").origins()
    registry.shared_headers = SharedHeaders()
    registry.upload_settings = config.add_section(UploadSettings, "hubrepo.uploads")
    config.set_root_factory(RootResource)
    config.add_traverser(Traverser, RootResource)
    config.set_default_permission(NOBODY)
    config.add_renderer("json", JSON)
    config.add_view_deriver(exact_path)
    config.add_request_method(request_id, "id", reify=True)
    config.add_request_method(lambda request: request.registry.clock(), "now", reify=True)
    config.add_request_method(is_safe, "is_safe", reify=True)
    config.add_settings(
        {
            "retry.attempts": 3,
            "retry.activate_hook": attempts,
            "tm.manager_hook": "pyramid_tm.explicit_manager",
            "tm.activate_hook": lambda request: not is_safe(request),
            "tm.commit_veto": "pyramid_tm.default_commit_veto",
            "tm.annotate_user": False,
        }
    )
    config.include("pyramid_retry")
    config.include("pyramid_tm")
    # The tween added last is the outermost.
    config.add_tween("hubrepo.kernel.web.tweens.guarding_paths")
    config.add_tween("hubrepo.kernel.web.cors.sharing")
    config.add_tween("hubrepo.kernel.web.tweens.observing")
    config.include("hubrepo.kernel.web.errors")
    config.include("hubrepo.kernel.web.operations")
