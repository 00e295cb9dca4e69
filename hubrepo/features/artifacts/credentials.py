"""The authenticator of `X-Api-Token`, and who calls with one."""

import logging
from dataclasses import dataclass
from typing import Any

from hubrepo.features.artifacts.errors import TokenRefused
from hubrepo.features.artifacts.events import token_name
from hubrepo.features.artifacts.models import Token
from hubrepo.features.artifacts.permissions import ADMIN, GRANTS
from hubrepo.features.artifacts.tokens import holder_of
from hubrepo.kernel.security import Identity, look_up

log = logging.getLogger(__name__)

HEADER = "X-Api-Token"


@dataclass(frozen=True, kw_only=True)
class TokenIdentity(Identity):
    """A token: it has its roles in the organisation, and is a principal itself, for products to grant to."""

    token_id: int

    @property
    def own_principal(self) -> str:
        """Itself, and no other."""
        return f"artifact-token:{self.token_id}"

    @property
    def principals(self) -> list[str]:
        """Its roles, and itself."""
        return [*super().principals, self.own_principal]


def by_token(request: Any) -> TokenIdentity | None:
    """Whom the token in the header stands for; None without one. Raises TokenRefused, TooManyFailures."""
    sent = request.headers.get(HEADER)
    if sent is None:
        return None
    raw = sent.strip(" \t")
    holder = look_up(request, lambda rows: holder_of(rows, raw))
    if holder is None:
        request.registry.throttle.fail(request.remote_addr or "", None)
        log.warning("refused a token from %s", request.remote_addr)
        raise TokenRefused
    request.registry.touches.note(Token, holder.token_id, holder.last_used_at, request.now)
    return TokenIdentity(
        holder.organisation,
        token_name(holder.digest),
        None,
        tuple(role for role in GRANTS if holder.is_admin or role != ADMIN),
        token_id=holder.token_id,
    )
