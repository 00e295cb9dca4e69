"""Every view of the hub, as the application itself tells of them: where it is, and what to ask of it.

Where a node is found, and in which states the thing there can be, is told here once, for all tests
that try all views. A view whose context has no place here fails them: give it one.
"""

import hashlib
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
from hubrepo.kernel.web import RootResource
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
    return f"thing-{next(_names):05}"


def missing(_owner: Client, name: str) -> str:
    return name


# One archive for all requests: each call would write another moment into it.
@lru_cache(maxsize=4)
def _package(name: str) -> bytes:
    return package_zip(name)


@lru_cache(maxsize=4)
def _page(path: str, text: str = "") -> bytes:
    return page_zip(path, {"index.html": f"<h1>{path}</h1>{text}"})


def _made(*steps: Callable[[Client, str], object]) -> Make:
    """What is made by these steps, and is called by its name."""

    def make(owner: Client, name: str) -> str:
        for step in steps:
            step(owner, name)
        return name

    return make


def _changed(method: str, path: str) -> Callable[[Client, str], object]:
    return lambda owner, name: owner.call(method, path.format(name=name), status=[200, 204])


empty_package = _made(
    lambda owner, name: owner.send_json("POST", "/api/packages", {"name": name}, 201)
)
published = _made(lambda owner, name: owner.publish(name, _package(name)))
# Two versions, and an alias to the first.
live_package = _made(
    published,
    published,
    lambda owner, name: owner.send_json(
        "PUT", f"/api/packages/{name}/aliases/stable", {"version": 1}
    ),
)
tombstoned_version = _made(live_package, _changed("DELETE", "/api/packages/{name}/versions/1"))
tombstoned_package = _made(live_package, _changed("DELETE", "/api/packages/{name}"))
live_page = _made(lambda owner, name: owner.upload("/api/pages", _page(name)))
# Two publications, the second of them live.
replaced_page = _made(
    live_page, lambda owner, name: owner.upload("/api/pages", _page(name, "once more"))
)
unpublished_page = _made(live_page, _changed("DELETE", "/api/pages/{name}"))
forgotten_publication = _made(
    replaced_page, _changed("POST", "/api/pages/{name}/publications/1/forget")
)
overlapped_page = _made(lambda owner, name: live_page(owner, f"{name}/below"))


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


def revoked_key(owner: Client, name: str) -> str:
    """A key that was good once."""
    owner.delete(f"/api/keys/{(hint := live_key(owner, name))}")
    return hint


def as_operator(owner: Client, act: Callable[[AccountService, Organisation], object]) -> None:
    with owner.hub.registry.database.write() as db:
        accounts = owner.hub.accounts(db)
        act(accounts, accounts.organisation(owner.slug))


def _operated(act: Callable[[AccountService, Organisation, str], object]) -> Make:
    return _made(
        lambda owner, name: as_operator(owner, lambda accounts, there: act(accounts, there, name))
    )


member = _operated(lambda accounts, there, name: accounts.attach(there, name, None))
inactive_member = _made(
    member, _operated(lambda accounts, _, name: accounts.set_active(name, active=False))
)
former_member = _made(
    member, _operated(lambda accounts, there, name: accounts.remove_member(there, name))
)


@dataclass(frozen=True)
class Place:
    """Where nodes of a type are found, and the states that the thing there can be in.

    In `path`, `{name}` is what a state calls its thing, `{slug}` its organisation's. It is found below
    all `prefixes` alike.
    """

    path: str
    states: Mapping[str, Make] = field(default_factory=lambda: {"always": missing})
    prefixes: Sequence[str] = ("",)


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
    RootResource: Place("/"),
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
    return json.dumps(value).encode(), "application/json"


def form_body(file: bytes, **fields: str) -> Body:
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
        return PLACES[self.context]

    @property
    def path(self) -> str:
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


def missing_like(name: str) -> str:
    """What nobody has, in the form of a name in a URL: a key's, a digest, or any other."""
    if name.startswith("kpf_"):
        return f"kpf_{next(_names):08x}"
    return hashlib.sha256(fresh_name().encode()).hexdigest() if len(name) == 64 else fresh_name()
