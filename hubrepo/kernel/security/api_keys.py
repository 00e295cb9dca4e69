"""The authenticator of `Authorization: Api-Key kpf_…`."""

from typing import Any

from hubrepo.kernel.accounts import SCOPES, ApiKey, KeyRefused, verify_key
from hubrepo.kernel.security.credentials import look_up
from hubrepo.kernel.security.errors import KeyNotAccepted
from hubrepo.kernel.security.identity import Identity

SCHEME = "api-key"


def by_api_key(request: Any) -> Identity | None:
    """Whom the key in the header stands for; None without one. Raises KeyNotAccepted, TooManyFailures."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    plain = credential.strip(" ")
    if scheme.lower() != SCHEME or not plain:
        return None
    holder = look_up(request, lambda rows: verify_key(rows, plain, request.now))
    if isinstance(holder, KeyRefused):
        request.registry.throttle.fail(request.remote_addr or "", holder.prefix)
        raise KeyNotAccepted(holder.organisation_id, holder.prefix)
    request.registry.touches.note(ApiKey, holder.key_id, holder.last_used_at, request.now)
    return Identity(
        holder.organisation,
        f"key:kpf_{holder.prefix}",
        holder.username,
        tuple(holder.scopes.split()) or SCOPES,
        tuple((holder.only or "").split()),
    )
