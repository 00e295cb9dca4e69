"""Every kind of credential, as the application itself tells of them: its authenticators and scopes.

An authenticator whose credentials are not told of here fails the tests that try all kinds.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hubrepo.kernel.accounts import SCOPES, ApiKey
from tests.support.beside import beside_tests
from tests.support.hub import Client, Hub

TESTS = Path(__file__).parents[1]

# Makes a caller who has, or had, something to do with the organisation of a client.
Caller = Callable[[Client], Client]


def _with(owner: Client, key: str) -> Client:
    return Client(owner.hub, owner.slug, key)


def _key(owner: Client, **wish: object) -> Client:
    return _with(owner, owner.hub.issue_key(owner.slug, **wish))


def _set(client: Client, column: str) -> Client:
    """The client, once a column of its key says an hour ago."""
    with client.hub.registry.database.write() as db:
        key = db.query(ApiKey).filter_by(prefix=client.key.split("_")[1]).one()
        setattr(key, column, datetime.now(UTC) - timedelta(hours=1))
    return client


def _user_s(owner: Client, kind: str) -> tuple[Client, str]:
    name = f"{kind}-of-{owner.slug}"
    return _key(owner, user=name), name


def _inactive(owner: Client) -> Client:
    client, name = _user_s(owner, "inactive")
    with owner.hub.registry.database.write() as db:
        owner.hub.accounts(db).set_active(name, active=False)
    return client


def _former(owner: Client, kind: str = "former") -> Client:
    client, name = _user_s(owner, kind)
    with owner.hub.registry.database.write() as db:
        accounts = owner.hub.accounts(db)
        accounts.remove_member(accounts.organisation(owner.slug), name)
    return client


def _moved(owner: Client) -> Client:
    client = _former(owner, "moved")
    with owner.hub.registry.database.write() as db:
        accounts = owner.hub.accounts(db)
        elsewhere = accounts.create_organisation(f"beyond {owner.slug}", f"beyond-{owner.slug}")
        accounts.attach(elsewhere, f"moved-of-{owner.slug}", None)
    return client


def _wrong(owner: Client) -> Client:
    return _with(owner, owner.key[: len("kpf_00000000_")] + "A" * 43)


def _scoped(scope: str) -> Caller:
    return lambda owner: _key(owner, scopes=[scope])


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


API_KEYS = Kinds(
    {
        "malformed": lambda owner: _with(owner, "kpf_nonsense"),
        "unknown": lambda owner: _with(owner, "kpf_00000000_" + "A" * 43),
        "wrong": _wrong,
        "revoked": lambda owner: _set(_key(owner), "revoked_at"),
        "expired": lambda owner: _set(_key(owner), "expires_at"),
        "inactive": _inactive,
        "former": _former,
        "moved": _moved,
        "stranger": lambda owner: owner.hub.organisation(),
        "service": lambda owner: owner,
        "user": lambda owner: _user_s(owner, "user")[0],
        # The things that are asked for are called so.
        "limited": lambda owner: _key(owner, only=["packages:thing-*"]),
        "elsewhere": lambda owner: _key(owner, only=["packages:other-*"]),
        **{scope: _scoped(scope) for scope in SCOPES},
    },
    {
        "malformed": "nothing that could be a key",
        "unknown": "a key whose prefix is none",
        "wrong": "a known prefix with another secret",
        "revoked": "a revoked key",
        "expired": "an expired key",
        "inactive": "a key of a deactivated user",
        "former": "a key of a former member",
        "moved": "a key of a former member who is a member elsewhere now",
        "stranger": "a good key of another organisation",
        "service": "a key of nobody, without scopes",
        "user": "a member's key, without scopes",
        "limited": "a key that is limited to packages, this one too",
        "elsewhere": "a key that is limited to other packages",
        **{scope: f"a key with the scope {scope}" for scope in SCOPES},
    },
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
