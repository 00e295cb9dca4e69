"""Every view of the hub, as the application itself tells of them: where it is, and what to ask of it.

Where a node is found, and in which states the thing there can be, is told here once, for all tests
that try all views. A view whose context has no place here fails them: give it one.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from hubrepo.features.docs import resources as docs
from hubrepo.features.organisation import resources as organisation
from hubrepo.features.packages import resources as packages
from hubrepo.features.pages import resources as pages
from hubrepo.kernel.accounts import AccountService, ApiKey, Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.web.operations import OperationsResource
from tests.support.archives import package_zip, page_zip
from tests.support.beside import beside_tests
from tests.support.contract import file_part, multipart, text_part
from tests.support.hub import Client, Hub

SAFE = ("GET", "HEAD", "OPTIONS")

# Makes the thing `name` of an organisation, in some state; what a URL calls it.
Make = Callable[[Client, str], str]
# What is sent for the thing that a URL calls so, and its type.
Body = tuple[bytes, str | None]

_names = itertools.count(1)


def fresh_name() -> str:
    """A name that nothing bears, anywhere."""
    return f"thing-{next(_names):05}"


def missing(_owner: Client, name: str) -> str:
    """Nothing is there."""
    return name


# One archive for all requests: each call would write another moment into it.
@lru_cache(maxsize=4)
def _package(name: str) -> bytes:
    return package_zip(name)


@lru_cache(maxsize=4)
def _page(path: str, text: str = "") -> bytes:
    return page_zip(path, {"index.html": f"<h1>{path}</h1>{text}"})


def _then(make: Make, method: str, path: str) -> Make:
    """Make the thing, and send a request about it."""

    def made(owner: Client, name: str) -> str:
        called = make(owner, name)
        owner.call(method, path.format(name=called), status=[200, 204])
        return called

    return made


def empty_package(owner: Client, name: str) -> str:
    """A package without versions."""
    owner.send_json("POST", "/api/packages", {"name": name}, 201)
    return name


def live_package(owner: Client, name: str) -> str:
    """Two versions, and an alias to the first."""
    for _ in range(2):
        owner.publish(name, _package(name))
    owner.send_json("PUT", f"/api/packages/{name}/aliases/stable", {"version": 1})
    return name


def live_page(owner: Client, name: str) -> str:
    """A page with one publication."""
    owner.upload("/api/pages", _page(name))
    return name


def replaced_page(owner: Client, name: str) -> str:
    """A page with two publications, the second of them live."""
    live_page(owner, name)
    owner.upload("/api/pages", _page(name, "once more"))
    return name


def overlapped_page(owner: Client, name: str) -> str:
    """A page below the name."""
    live_page(owner, f"{name}/below")
    return name


def live_key(owner: Client, _name: str) -> str:
    """A key that nobody uses."""
    return owner.hub.issue_key(owner.slug)[: len("kpf_00000000")]


def expired_key(owner: Client, name: str) -> str:
    """A key that was good until an hour ago."""
    hint = live_key(owner, name)
    with owner.hub.registry.database.write() as db:
        key = db.query(ApiKey).filter_by(prefix=hint.removeprefix("kpf_")).one()
        key.expires_at = now() - timedelta(hours=1)
    return hint


def missing_key(_owner: Client, name: str) -> str:
    """The spelling of a key."""
    return f"kpf_{int(name.rpartition('-')[2]):08x}"


def as_operator(owner: Client, act: Callable[[AccountService, Organisation], object]) -> None:
    with owner.hub.registry.database.write() as db:
        accounts = owner.hub.accounts(db)
        act(accounts, accounts.organisation(owner.slug))


def member(owner: Client, name: str) -> str:
    """A user of the organisation."""
    as_operator(owner, lambda accounts, organisation: accounts.attach(organisation, name, None))
    return name


def inactive_member(owner: Client, name: str) -> str:
    """A member who may not act."""
    member(owner, name)
    as_operator(owner, lambda accounts, _: accounts.set_active(name, active=False))
    return name


def former_member(owner: Client, name: str) -> str:
    """A user who was a member."""
    member(owner, name)
    as_operator(owner, lambda accounts, organisation: accounts.remove_member(organisation, name))
    return name


@dataclass(frozen=True)
class Place:
    """Where nodes of a type are found, and the states that the thing there can be in.

    In `path`, `{name}` is what a state calls its thing, `{slug}` its organisation's. It is found below
    all `prefixes` alike.
    """

    path: str
    states: Mapping[str, Make] = field(default_factory=lambda: {"always": missing})
    prefixes: Sequence[str] = ("",)


tombstoned_version = _then(live_package, "DELETE", "/api/packages/{name}/versions/1")
tombstoned_package = _then(live_package, "DELETE", "/api/packages/{name}")
unpublished_page = _then(live_page, "DELETE", "/api/pages/{name}")
forgotten_publication = _then(replaced_page, "POST", "/api/pages/{name}/publications/1/forget")
revoked_key = _then(live_key, "DELETE", "/api/keys/{name}")

States = Mapping[str, Make]
PACKAGE: States = {
    "live": live_package, "empty": empty_package, "tombstoned": tombstoned_package, "missing": missing,
}  # fmt: skip
VERSION: States = {
    "live": live_package, "tombstoned": tombstoned_version, "cascaded": tombstoned_package,
    "missing": empty_package, "no package": missing,
}  # fmt: skip
PAGE: States = {"live": live_page, "unpublished": unpublished_page, "missing": missing}
PUBLICATION: States = {
    "live": live_page, "retired": replaced_page, "unpublished": unpublished_page,
    "forgotten": forgotten_publication, "missing": missing,
}  # fmt: skip
KEY: States = {
    "live": live_key, "revoked": revoked_key, "expired": expired_key, "missing": missing_key,
}  # fmt: skip
MEMBER: States = {
    "live": member, "inactive": inactive_member, "former": former_member, "missing": missing,
}  # fmt: skip

PLACES: dict[type, Place] = {
    OperationsResource: Place("/_ah"),
    docs.OpenAPIResource: Place("/api/openapi.json"),
    docs.DocsResource: Place("/docs"),
    packages.PackagesResource: Place("/api/packages", PACKAGE),
    packages.PackageResource: Place("/api/packages/{name}", PACKAGE),
    packages.VersionsResource: Place("/api/packages/{name}/versions", PACKAGE),
    packages.VersionResource: Place("/api/packages/{name}/versions/1", VERSION),
    packages.AliasesResource: Place("/api/packages/{name}/aliases", PACKAGE),
    packages.AliasResource: Place("/api/packages/{name}/aliases/stable", VERSION),
    pages.PagesResource: Place("/api/pages", {**PAGE, "overlapped": overlapped_page}),
    pages.PageResource: Place("/api/pages/{name}", PAGE),
    pages.PublicationsResource: Place("/api/pages/{name}/publications", PAGE),
    pages.PublicationResource: Place("/api/pages/{name}/publications/1", PUBLICATION),
    pages.ForgetResource: Place("/api/pages/{name}/publications/1/forget", PUBLICATION),
    pages.RollbackResource: Place("/api/pages/{name}/rollback", PUBLICATION),
    pages.DifferenceResource: Place("/api/pages/{name}/publications/1/diff/1", PUBLICATION),
    pages.PublishedResource: Place("/pages/{slug}/{name}/", PAGE),
    organisation.SelfResource: Place("/api/organisation"),
    organisation.KeysResource: Place("/api/keys", {"always": missing, **MEMBER}),
    organisation.KeyResource: Place("/api/keys/{name}", KEY),
    organisation.MembersResource: Place("/api/members"),
    organisation.MemberResource: Place("/api/members/{name}", MEMBER),
    organisation.LogResource: Place("/api/log"),
}


def json_body(value: object) -> Body:
    """A value as JSON."""
    return json.dumps(value).encode(), "application/json"


def form_body(file: bytes, **fields: str) -> Body:
    """A form with a file."""
    parts = [text_part(*each) for each in fields.items()]
    return multipart([*parts, file_part(file)]), "multipart/form-data; boundary=frontier"


def _new_key(state: str, name: str) -> Body:
    return json_body({"label": name} | ({} if state == "always" else {"user": name}))


# What is sent by a request that means it; the others have no body.
BODIES: dict[tuple[type, str], Callable[[str, str], Body]] = {
    (packages.PackagesResource, "POST"): lambda _, name: json_body({"name": name}),
    (packages.VersionsResource, "POST"): lambda _, name: form_body(_package(name)),
    (packages.AliasResource, "PUT"): lambda _, _name: json_body({"version": 1}),
    (pages.PagesResource, "POST"): lambda _, name: form_body(_page(name)),
    (pages.RollbackResource, "POST"): lambda _, _name: json_body({"publication": 1}),
    (organisation.KeysResource, "POST"): _new_key,
}


for _module in beside_tests("places"):
    PLACES |= _module.PLACES
    BODIES |= _module.BODIES


@dataclass(frozen=True)
class View:
    """A view, with the methods that it answers; `permission` is what it asks for."""

    context: type
    name: str
    permission: str | None
    methods: Sequence[str]
    prefix: str = ""

    @property
    def place(self) -> Place:
        """Where it is."""
        return PLACES[self.context]

    @property
    def path(self) -> str:
        """Its URL, as places spell them."""
        return self.prefix + self.place.path + (f"/{self.name}" if self.name else "")

    def url(self, owner: Client, name: str) -> str:
        """Its URL for the thing of `owner` that is called so."""
        return self.path.format(slug=owner.slug, name=name)

    def body(self, method: str, state: str, name: str) -> Body:
        """What to send to it about a thing that is called so, and was made in that state."""
        make = BODIES.get((self.context, method))
        return (b"", None) if make is None else make(state, name)


def views_of(hub: Hub) -> Iterator[View]:
    """All of them, by path: each as often as its methods ask for different permissions."""
    known: dict[tuple[type, str, str | None], list[str]] = {}
    for context, name, method, permission in hub.registry.methods:
        assert context in PLACES, f"{context.__name__} has no place: add one to {__name__}.PLACES"
        known.setdefault((context, name, permission), []).append(method)
    views = [
        View(*key, tuple(sorted(methods)), prefix)
        for key, methods in known.items()
        for prefix in PLACES[key[0]].prefixes
    ]
    return iter(sorted(views, key=lambda view: (view.path, str(view.permission), view.methods)))


def named_views(hub: Hub) -> Iterator[tuple[View, str]]:
    """Every view of a thing that has a name in the URL or the body, with each method."""
    for view in views_of(hub):
        if "live" in view.place.states and view.path.startswith("/api"):
            for method in view.methods:
                if (view.context, method) in BODIES or "{name}" in view.path:
                    yield view, method


def neighbours_and_nobodys(view: View, neighbour: Client) -> tuple[str, str]:
    """What the URL calls a live thing of the neighbour, and one that nobody has."""
    # Where a version is missing, its package is there.
    none = missing_key if "/keys/" in view.path else missing
    return view.place.states["live"](neighbour, fresh_name()), none(neighbour, fresh_name())
