"""Credentials → identity → principals; the root of everything private; the audit of requests."""

from typing import Any

from hubrepo.kernel.security.api_keys import SecuritySettings, Throttle, by_api_key
from hubrepo.kernel.security.auditing import audit_of, note_refusal
from hubrepo.kernel.security.errors import CredentialsMissing, KeyNotAccepted
from hubrepo.kernel.security.identity import Identity
from hubrepo.kernel.security.policy import (
    OrganisationResource,
    SecurityPolicy,
    add_authenticator,
    add_grants,
    identify,
)
from hubrepo.kernel.web import RootResource

__all__ = ["CredentialsMissing", "Identity", "KeyNotAccepted", "OrganisationResource"]


def includeme(config: Any) -> None:
    """Mount `/api`, and let API keys in."""
    registry = config.registry
    registry.authenticators, registry.grants = {}, {}
    settings = config.add_section(SecuritySettings, "hubrepo.security")
    registry.throttle = Throttle(settings.failures_per_minute)
    config.add_directive("add_authenticator", add_authenticator)
    config.add_directive("add_grants", add_grants)
    config.add_request_method(identify, "caller", reify=True)
    config.set_security_policy(SecurityPolicy())
    config.add_authenticator("api-key", by_api_key)
    config.add_mount(RootResource, "api", OrganisationResource)
    config.add_request_method(audit_of, "audit", reify=True)
    config.add_refusal_observer(note_refusal)
