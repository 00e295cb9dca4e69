"""Credential → identity → principals; then the access lists of the tree decide."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from pyramid.authorization import ALL_PERMISSIONS, ACLHelper, Allow, Deny

from hubrepo.kernel.accounts import BadAccountData
from hubrepo.kernel.base import Unauthenticated, hide, shown
from hubrepo.kernel.security.errors import CredentialsMissing
from hubrepo.kernel.security.identity import Identity, principal
from hubrepo.kernel.web import Claims, Resource, mounts_of

Authenticator = Callable[[Any], Identity | None]


class Taken(NamedTuple):
    """What a path takes for credentials, by name, and the error where none is brought."""

    by_name: dict[str, Authenticator]
    missing: type[Unauthenticated]


class Authenticators:
    """What recognises credentials, by name. A surface with a kind of its own takes no other.

    Each raises for a credential of its kind that is bad, so that none falls through to the next.
    """

    def __init__(self) -> None:
        self._usual = Taken({}, CredentialsMissing)
        self._claims = Claims(self._usual)

    def add(
        self,
        name: str,
        authenticate: Authenticator,
        paths: Iterable[str] = (),
        missing: type[Unauthenticated] = CredentialsMissing,
    ) -> None:
        """Let `authenticate` recognise callers of `paths`; of all that nobody claims, if there are none."""
        for path in paths:
            self._claims.add(path, Taken({name: authenticate}, missing))
        if not paths:
            self._usual.by_name[name] = authenticate

    def are_usual_at(self, path: str) -> bool:
        """Whether a path takes the hub's own credentials."""
        return self._claims.at(path) is self._usual

    def at(self, path: str) -> Iterable[Authenticator]:
        """Those to ask about a caller of `path`, in turn."""
        return self._claims.at(path).by_name.values()

    def missing_at(self, path: str) -> Unauthenticated:
        """The error of a caller of `path` who brings none."""
        return self._claims.at(path).missing()

    @property
    def by_name(self) -> Mapping[str, Authenticator]:
        """All of them."""
        return {name: each for some in self._claims for name, each in some.by_name.items()}


def identify(request: Any) -> Identity | None:
    """`request.caller`: whom the authenticators of its path recognise."""
    return recognised(request, request.registry.authenticators.at(request.environ["PATH_INFO"]))


def recognised(request: Any, authenticators: Iterable[Authenticator]) -> Identity | None:
    """Whom one of them recognises, asked in turn. Raises what they raise for bad credentials."""
    for authenticate in authenticators:
        identity = authenticate(request)
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


class ApiResource(Resource):
    """`/api` before it is known what is asked for: a few things are everybody's, and mounted here.

    All the rest belongs to the organisation of the credential, which takes the place of this node. A
    bad credential is refused in any case, even where none is needed.
    """

    def __init__(self, parent: Resource, name: str) -> None:
        super().__init__(parent, name)
        self._root = parent
        request = self.request
        if request.registry.authenticators.are_usual_at(request.environ["PATH_INFO"]):
            # Asked for now: a bad one is refused here.
            _ = request.identity

    def __getitem__(self, name: str) -> Resource:
        if name in mounts_of(self.request.registry, ApiResource):
            return super().__getitem__(name)
        return OrganisationResource(self._root, self.__name__)[name]


class OrganisationResource(Resource):
    """`/api`: the organisation of the credential. Without one there is no way in.

    A surface with credentials of its own begins with a subclass.
    """

    def __init__(self, parent: Resource, name: str) -> None:
        super().__init__(parent, name)
        request = self.request
        identity = request.identity
        if identity is None:
            raise request.registry.authenticators.missing_at(request.environ["PATH_INFO"])
        self.organisation = identity.organisation

    @property
    def __acl__(self) -> list[tuple[str, str, tuple[str, ...]]]:
        return granted(self)


def granted(node: Any, kind: str = "") -> list[tuple[str, str, tuple[str, ...]]]:
    """The access list of a node's organisation; with `kind`, for keys that are limited to such things.

    The node that holds all things of a kind has the second one.
    """
    return [
        (Allow, principal(node.organisation, role, kind), permissions)
        for role, permissions in node.request.registry.grants.items()
    ]


def closed_to(identity: Identity) -> list[tuple[str, str, object]]:
    """The access list of a node that those who have `identity` have nothing to do with."""
    return [(Deny, each, ALL_PERMISSIONS) for each in identity.principals]


def add_authenticator(
    config: Any,
    name: str,
    authenticate: Authenticator,
    paths: Iterable[str] = (),
    missing: type[Unauthenticated] = CredentialsMissing,
) -> None:
    """Directive: one more kind of credential; with `paths`, the only one there and below, and `missing`.

    Two claims to one path fail at boot.
    """
    for path in paths:
        config.action(("credentials", path))
    add = partial(config.registry.authenticators.add, name, authenticate, tuple(paths), missing)
    config.action(("authenticator", name), add)


def add_grants(config: Any, grants: Mapping[str, Iterable[str]]) -> None:
    """Directive: what each role may do. Two claims to one (role, permission) fail at boot."""
    for role, permissions in grants.items():
        for permission in permissions:
            config.action(
                ("grant", role, permission), _grant, args=(config.registry, role, permission)
            )


def add_name_kind(config: Any, kind: str) -> None:
    """Directive: keys can be limited to some names of things of that kind."""
    config.action(("name kind", kind), lambda: config.registry.name_kinds.append(kind))


def add_secret(config: Any, name: str, pattern: str, shown: str) -> None:
    """Directive: what no log, audit or error may show (see `hide`)."""
    config.action(("secret", name), partial(hide, pattern, shown))


def check_kinds(registry: Any, patterns: Iterable[str]) -> None:
    """Raises BadAccountData for a name pattern of a kind that nothing here is of."""
    known = sorted(registry.name_kinds)
    for each in patterns:
        if each.partition(":")[0] not in known:
            raise BadAccountData(f"{shown(each)} begins with none of {known!r} and a colon")


def _grant(registry: Any, role: str, permission: str) -> None:
    registry.grants[role] = (*registry.grants.get(role, ()), permission)
