"""Credentials → identity → principals; the root of everything private; the audit of requests."""

from typing import Any

from hubrepo.kernel.security.admission import admit
from hubrepo.kernel.security.api_keys import by_api_key
from hubrepo.kernel.security.auditing import audit_of, note_refusal
from hubrepo.kernel.security.credentials import Touches, look_up
from hubrepo.kernel.security.errors import CredentialsMissing, KeyNotAccepted
from hubrepo.kernel.security.identity import Identity, principal
from hubrepo.kernel.security.policy import (
    ApiResource,
    Authenticators,
    OrganisationResource,
    SecurityPolicy,
    add_authenticator,
    add_grants,
    add_name_kind,
    add_secret,
    check_kinds,
    closed_to,
    granted,
    identify,
)
from hubrepo.kernel.security.throttle import Throttle, ThrottleSettings
from hubrepo.kernel.web import RootResource

__all__ = [
    "ApiResource",
    "CredentialsMissing",
    "Identity",
    "KeyNotAccepted",
    "OrganisationResource",
    "admit",
    "check_kinds",
    "closed_to",
    "granted",
    "look_up",
    "principal",
]


def includeme(config: Any) -> None:
    """Mount `/api`, and let API keys in."""
    registry = config.registry
    registry.authenticators, registry.grants, registry.name_kinds = Authenticators(), {}, []
    settings = config.add_section(ThrottleSettings, "hubrepo.security")
    registry.throttle = Throttle(settings, registry.database, registry.afterwards)
    registry.touches = Touches(registry.afterwards)
    config.add_directive("add_authenticator", add_authenticator)
    config.add_directive("add_grants", add_grants)
    config.add_directive("add_name_kind", add_name_kind)
    config.add_directive("add_secret", add_secret)
    config.add_request_method(identify, "caller", reify=True)
    config.set_security_policy(SecurityPolicy())
    config.add_authenticator("api-key", by_api_key)
    config.scan("hubrepo.kernel.security.admission")
    config.add_mount(RootResource, "api", ApiResource)
    config.add_request_method(audit_of, "audit", reify=True)
    config.add_refusal_observer(note_refusal)
