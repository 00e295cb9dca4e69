"""Every kind of credential, as the application itself tells of them: its authenticators and scopes.

An authenticator whose credentials are not told of here fails the tests that try all kinds.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hubrepo.kernel.accounts import SCOPES, AccountService, ApiKey
from tests.support.beside import beside_tests
from tests.support.hub import Client, Hub

TESTS = Path(__file__).parents[1]

# Makes a caller who has, or had, something to do with the organisation of a client.
Caller = Callable[[Client], Client]


def _with(owner: Client, key: str) -> Client:
    return Client(owner.hub, owner.slug, key)


def _key(owner: Client, **wish: object) -> Client:
    return _with(owner, owner.hub.issue_key(owner.slug, **wish))


def _past(column: str) -> Caller:
    """A key, a column of which says an hour ago."""

    def make(owner: Client) -> Client:
        client = _key(owner)
        with client.hub.registry.database.write() as db:
            key = db.query(ApiKey).filter_by(prefix=client.key.split("_")[1]).one()
            setattr(key, column, datetime.now(UTC) - timedelta(hours=1))
        return client

    return make


def _users(kind: str, *then: Callable[[AccountService, Client, str], object]) -> Caller:
    """A member's key, and what happens to the member."""

    def make(owner: Client) -> Client:
        name = f"{kind}-of-{owner.slug}"
        client = _key(owner, user=name)
        for act in then:
            with owner.hub.registry.database.write() as db:
                act(owner.hub.accounts(db), owner, name)
        return client

    return make


def _deactivate(accounts: AccountService, _owner: Client, name: str) -> None:
    accounts.set_active(name, active=False)


def _remove(accounts: AccountService, owner: Client, name: str) -> None:
    accounts.remove_member(accounts.organisation(owner.slug), name)


def _move(accounts: AccountService, owner: Client, name: str) -> None:
    elsewhere = accounts.create_organisation(f"beyond {owner.slug}", f"beyond-{owner.slug}")
    accounts.attach(elsewhere, name, None)


def _scoped(scope: str) -> Caller:
    return lambda owner: _key(owner, scopes=[scope])


def _only(pattern: str) -> Caller:
    return lambda owner: _key(owner, only=[pattern])


@dataclass(frozen=True)
class Kinds:
    """The kinds of credential that an authenticator knows: what makes each, and what it is in words.

    Some are `good` for something. A table tells what each is answered where that authenticator is asked,
    with four letters of each.
    """

    callers: Mapping[str, Caller]
    meaning: Mapping[str, str]
    good: AbstractSet[str]
    table: Path


# What makes each, and what it is in words.
_KEYS: Mapping[str, tuple[Caller, str]] = {
    "malformed": (lambda owner: _with(owner, "kpf_nonsense"), "nothing that could be a key"),
    "unknown": (
        lambda owner: _with(owner, "kpf_00000000_" + "A" * 43), "a key whose prefix is none"
    ),
    "wrong": (
        lambda owner: _with(owner, owner.key[:13] + "A" * 43), "a known prefix with another secret"
    ),
    "revoked": (_past("revoked_at"), "a revoked key"),
    "expired": (_past("expires_at"), "an expired key"),
    "inactive": (_users("inactive", _deactivate), "a key of a deactivated user"),
    "former": (_users("former", _remove), "a key of a former member"),
    "moved": (
        _users("moved", _remove, _move), "a key of a former member who is a member elsewhere now"
    ),
    "stranger": (lambda owner: owner.hub.organisation(), "a good key of another organisation"),
    "service": (lambda owner: owner, "a key of nobody, without scopes"),
    "user": (_users("user"), "a member's key, without scopes"),
    # The things that are asked for are called so.
    "limited": (_only("packages:thing-*"), "a key that is limited to packages, this one too"),
    "elsewhere": (_only("packages:other-*"), "a key that is limited to other packages"),
    **{scope: (_scoped(scope), f"a key with the scope {scope}") for scope in SCOPES},
}  # fmt: skip
API_KEYS = Kinds(
    {kind: make for kind, (make, _) in _KEYS.items()},
    {kind: meaning for kind, (_, meaning) in _KEYS.items()},
    {"stranger", "service", "user", "limited", "elsewhere", *SCOPES},
    TESTS / "architecture" / "permission_matrix.txt",
)


def all_kinds(hub: Hub) -> Mapping[str, Kinds]:
    """The kinds of credential that the hub knows, by the names of its authenticators."""
    kinds = {"api-key": API_KEYS}
    for module in beside_tests("places"):
        kinds |= module.KINDS
    known = set(hub.registry.authenticators.by_name)
    assert known == set(kinds), f"tell {__name__} of the credentials of {known}"
    return kinds
