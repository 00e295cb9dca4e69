"""Credential → identity → principals; then the access lists of the tree decide."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyramid.authorization import ACLHelper, Allow

from hubrepo.kernel.security.errors import CredentialsMissing
from hubrepo.kernel.security.identity import Identity, principal
from hubrepo.kernel.web import Resource

Authenticator = Callable[[Any], Identity | None]


def identify(request: Any) -> Identity | None:
    """`request.caller`: whom the registered authenticators recognise, asked in turn.

    Each knows its own kind of credential, and raises for one of its kind that is bad, so a bad
    credential never falls through to the next.
    """
    for authenticate in request.registry.authenticators.values():
        identity: Identity | None = authenticate(request)
        if identity is not None:
            request.environ["hubrepo.actor"] = identity.actor
            return identity
    return None


class SecurityPolicy:
    """What Pyramid asks: who calls, and may they do that?"""

    def __init__(self) -> None:
        self._access_lists = ACLHelper()

    def identity(self, request: Any) -> Identity | None:
        """Who calls, or None."""
        caller: Identity | None = request.caller
        return caller

    def authenticated_userid(self, request: Any) -> str | None:
        """The name of who calls."""
        identity = self.identity(request)
        return None if identity is None else identity.actor

    def permits(self, request: Any, context: object, permission: str) -> Any:
        """Whether an access list on the way from `context` to the root grants `permission`."""
        identity = self.identity(request)
        principals = identity.principals if identity is not None else []
        return self._access_lists.permits(context, principals, permission)

    def remember(self, request: Any, userid: str, **kw: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Keys are sent with every request: there is nothing to remember."""
        return []

    def forget(self, request: Any, **kw: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """There is nothing to forget."""
        return []


class OrganisationResource(Resource):
    """`/api`: the organisation of the credential. Without one there is no way in."""

    def __init__(self, parent: Resource, name: str) -> None:
        super().__init__(parent, name)
        identity = self.request.identity
        if identity is None:
            raise CredentialsMissing
        self.organisation = identity.organisation

    @property
    def __acl__(self) -> list[tuple[str, str, tuple[str, ...]]]:
        return [
            (Allow, principal(self.organisation, role), permissions)
            for role, permissions in self.request.registry.grants.items()
        ]


def add_authenticator(config: Any, name: str, authenticate: Authenticator) -> None:
    """Directive: one more kind of credential."""
    config.action(
        ("authenticator", name), lambda: config.registry.authenticators.update({name: authenticate})
    )


def add_grants(config: Any, grants: Mapping[str, Iterable[str]]) -> None:
    """Directive: what each role may do. Two claims to one (role, permission) fail at boot."""
    for role, permissions in grants.items():
        for permission in permissions:
            config.action(
                ("grant", role, permission), _grant, args=(config.registry, role, permission)
            )


def _grant(registry: Any, role: str, permission: str) -> None:
    registry.grants[role] = (*registry.grants.get(role, ()), permission)
