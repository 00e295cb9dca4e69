"""A feature for tests: people who are signed in, which hubs do not know yet, are known by a cookie."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.security import Identity

COOKIE = "session"


class Asked(NamedTuple):
    """A request as it came: `mode` is what the browser says it is for; whether someone known sent it."""

    method: str
    path: str
    mode: str
    known: bool


@dataclass
class Sessions:
    """Who is signed in, by the value of the cookie; and what was asked."""

    known: dict[str, OrganisationRef] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


def by_session(request: Any) -> Identity | None:
    """Whom the cookie stands for."""
    sessions: Sessions = request.registry.sessions
    organisation = sessions.known.get(request.cookies.get(COOKIE, ""))
    mode = request.headers.get("Sec-Fetch-Mode", "")
    sessions.asked.append(Asked(request.method, request.path, mode, organisation is not None))
    return Identity(organisation, "session:test", "ann") if organisation is not None else None


def includeme(config: Any) -> None:
    """Let sessions in."""
    config.registry.sessions = Sessions()
    config.add_authenticator("test-session", by_session)
