"""Two organisations of one hub, driven at random, each beside its own model.

They use the same names, numbers and bytes, and try what only the other one has. Whatever either does,
each is answered what its own model says, and nothing that it is answered bears a mark of the other.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from webtest import TestResponse

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import adopt_orphans, sweep, tidy
from tests.support.archives import package_zip, page_zip
from tests.support.contract import file_part, multipart, text_part
from tests.support.features import HAS_ARTIFACTS
from tests.support.filled import findings, make_hub
from tests.support.hub import Client, Hub
from tests.support.model import Key, Organisation, Origin, Version

# How many past publications of a page the hub keeps.
KEEP = 2
SECOND = timedelta(seconds=1)

PACKAGES = ("anvil", "bolt", "clamp")
PAGES = ("docs", "docs/a", "site")
NUMBERS = (1, 2, 3)

FORM = "multipart/form-data; boundary=frontier"
JSON = "application/json"
ENTRY = re.compile(r"^### Version (\d+)( \(tombstoned\))?$", re.MULTILINE)

sides = st.sampled_from([0, 1])
names = st.sampled_from(PACKAGES)
numbers = st.sampled_from([1, *NUMBERS])
aliases = st.sampled_from(["stable", "beta"])
paths = st.sampled_from(PAGES)
# Odd ones are the same for both organisations.
contents = st.integers(0, 3)
choices = st.integers(0, 9)
scopes = st.sampled_from([(), ("read",), ("publish",), ("admin",)])


# An archive has the moment it was made in it: the same one is made once.
@lru_cache(maxsize=256)
def package_archive(name: str, text: str) -> bytes:
    return package_zip(name, readme=text)


@lru_cache(maxsize=256)
def page_archive(path: str, text: str) -> bytes:
    return page_zip(path, {"index.html": text})


class Side:
    """An organisation, its model, and the mark that everything of its own bears."""

    def __init__(self, hub: Hub) -> None:
        self.client = hub.organisation()
        self.slug = self.client.slug
        self.mark = f"mark-of-{self.slug}."
        self.model = Organisation(KEEP)
        self.guesses: list[str] = []
        key = Key(self.client.key, frozenset(), None, None)
        self.model.keys[key.hint] = key

    def text(self, content: int) -> str:
        """What is published: some of it is the same for both."""
        return f"content {content}" + ("" if content % 2 else f" {self.mark}")


class TwoOrganisations(RuleBasedStateMachine):
    """What both do, what both see."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub
        self.sides: list[Side] = []

    @initialize()
    def begin(self) -> None:
        self.hub.registry.clock = lambda: self.now
        self.now = now()
        self.sides = [Side(self.hub), Side(self.hub)]
        for side, name in itertools.product([0, 1], ["anvil", "bolt", "anvil"]):
            self.publish(side, name, side)
        self.publish_the_same_page(0, "docs")

    # --- How they ask ---

    def ask(
        self, side: int, method: str, path: str, body: bytes = b"", content_type: str | None = None,
        client: Client | None = None,
    ) -> TestResponse:  # fmt: skip
        """An answer, which says nothing of the other organisation but what this one said itself."""
        self.now += SECOND
        client = client or self.sides[side].client
        response = client.call(method, path, body, content_type=content_type)
        said = response.body.decode("latin-1") + repr(response.headerlist)
        for guess in self.sides[side].guesses:
            said = said.replace(guess, "")
        other = self.sides[1 - side]
        foreign = (other.mark, *other.model.keys, *other.model.tokens)
        assert not [each for each in foreign if each in said], said
        return response

    def get(self, side: int, path: str, status: int = 200) -> TestResponse:
        """What is answered with that status."""
        response = self.ask(side, "GET", path)
        assert response.status_int == status, response
        return response

    def do(self, side: int, status: int, method: str, path: str, value: object = None) -> Any:
        """What is answered to a change, with that status."""
        body = b"" if value is None else json.dumps(value).encode()
        response = self.ask(side, method, path, body, JSON if body else None)
        assert response.status_int == status, response
        return response

    # --- Packages ---

    @rule(side=sides, name=names)
    def register(self, side: int, name: str) -> None:
        status = self.sides[side].model.register(name)
        self.do(side, status, "POST", "/api/packages", {"name": name})

    @rule(side=sides, name=names, content=contents)
    def publish(self, side: int, name: str, content: int, declared: Origin | None = None) -> None:
        owner = self.sides[side]
        fields = {"summary": f"made by {owner.mark}"}
        if declared is not None:
            fields["forked_from"] = f"{declared[0]}@{declared[1]}"
        archive = package_archive(name, owner.text(content))
        body = multipart([*(text_part(*each) for each in fields.items()), file_part(archive)])
        response = self.ask(side, "POST", f"/api/packages/{name}/versions", body, FORM)
        assert response.status_int == owner.model.may_publish(name, declared), response
        if response.status_int == 201:
            made = response.json
            version = owner.model.publish(name, _digest(made), made["size"], declared)
            assert (made["version"], made["package"]) == (version.number, name)
            assert made["forked_from"] == _origin_json(declared)

    @rule(side=sides, name=names, source=names, number=numbers)
    def publish_a_fork(self, side: int, name: str, source: str, number: int) -> None:
        self.publish(side, name, 0, (source, number))

    @rule(side=sides, name=names, number=numbers)
    def tombstone(self, side: int, name: str, number: int) -> None:
        reason = f"because of {self.sides[side].mark}"
        status = self.sides[side].model.tombstone(name, number, reason)
        path = f"/api/packages/{name}/versions/{number}"
        self.do(side, status, "DELETE", path, {"reason": reason})

    @rule(side=sides, name=names)
    def delete_package(self, side: int, name: str) -> None:
        reason = f"all of {self.sides[side].mark}"
        status = self.sides[side].model.delete(name, reason)
        self.do(side, status, "DELETE", f"/api/packages/{name}", {"reason": reason})

    @rule(side=sides, name=names, alias=aliases, number=numbers)
    def set_alias(self, side: int, name: str, alias: str, number: int) -> None:
        status = self.sides[side].model.set_alias(name, alias, number)
        path = f"/api/packages/{name}/aliases/{alias}"
        self.do(side, status, "PUT", path, {"version": number})

    @rule(side=sides, name=names, alias=aliases)
    def remove_alias(self, side: int, name: str, alias: str) -> None:
        status = self.sides[side].model.remove_alias(name, alias)
        self.do(side, status, "DELETE", f"/api/packages/{name}/aliases/{alias}")

    @rule(side=sides, name=names, number=numbers)
    def download(self, side: int, name: str, number: int) -> None:
        version = self.sides[side].model.version(name, number)
        self._download(side, f"{name}/versions/{number}/download", version, 410)

    @rule(side=sides, name=names, alias=st.one_of(st.just("latest"), aliases))
    def download_at_an_alias(self, side: int, name: str, alias: str) -> None:
        version = self.sides[side].model.at_alias(name, alias)
        where = "latest" if alias == "latest" else f"aliases/{alias}/download"
        self._download(side, f"{name}/{where}", version, 404)

    def _download(self, side: int, path: str, version: Version | None, gone: int) -> None:
        status = 404 if version is None else 200 if version.is_live else gone
        response = self.get(side, f"/api/packages/{path}", status)
        if version is not None and version.is_live:
            assert hashlib.sha256(response.body).hexdigest() == version.digest

    @rule(side=sides, name=names)
    def read_history(self, side: int, name: str) -> None:
        model = self.sides[side].model
        is_there = name in model.packages
        response = self.get(side, f"/api/packages/{name}/history", 200 if is_there else 404)
        told = [(int(number), not gone) for number, gone in ENTRY.findall(response.text)]
        assert not is_there or told == list(model.history(name))

    # --- Pages ---

    @rule(side=sides, path=paths, content=contents)
    def publish_page(self, side: int, path: str, content: int) -> None:
        text, model = self.sides[side].text(content), self.sides[side].model
        archive = page_archive(path, text)
        digest, size = hashlib.sha256(archive).hexdigest(), len(archive)
        response = self.ask(side, "POST", "/api/pages", multipart([file_part(archive)]), FORM)
        assert response.status_int == model.publish_page(path, digest, size, text, self.now)
        if response.status_int == 201:
            made = response.json
            assert (made["publication"], _digest(made)) == (model.pages[path].head, digest)

    @rule(first=sides, path=paths)
    def publish_the_same_page(self, first: int, path: str) -> None:
        """The same bytes are kept for each, and go without the other's."""
        for side in (first, 1 - first):
            self.publish_page(side, path, 1)

    @rule(side=sides, path=paths, number=numbers)
    def roll_back(self, side: int, path: str, number: int) -> None:
        status = self.sides[side].model.roll_back(path, number, self.now)
        self.do(side, status, "POST", f"/api/pages/{path}/rollback", {"publication": number})

    @rule(side=sides, path=paths)
    def unpublish(self, side: int, path: str) -> None:
        status = self.sides[side].model.unpublish(path, self.now)
        self.do(side, status, "DELETE", f"/api/pages/{path}")

    @rule(side=sides, path=paths, number=numbers)
    def forget(self, side: int, path: str, number: int) -> None:
        status = self.sides[side].model.forget(path, number)
        self.do(side, status, "POST", f"/api/pages/{path}/publications/{number}/forget")

    @rule(side=sides, path=paths)
    def list_publications(self, side: int, path: str) -> None:
        model = self.sides[side].model
        kept = model.pages[path].kept if path in model.pages else {}
        response = self.get(side, f"/api/pages/{path}/publications", 200 if kept else 404)
        told = [(each["publication"], each["live"]) for each in (response.json if kept else ())]
        numbers = sorted(kept, reverse=True)
        assert told == [(each, kept[each].retired_at is None) for each in numbers]

    @rule(side=sides, path=paths)
    def visit(self, side: int, path: str) -> None:
        """Pages are for everybody, at the address of their organisation."""
        owner = self.sides[side]
        nobody = Client(self.hub, owner.slug, "")
        response = self.ask(side, "GET", f"/pages/{owner.slug}/{path}/", client=nobody)
        live = owner.model.live_pages().get(path)
        assert response.status_int == (404 if live is None else 200)
        assert live is None or response.text == live.text

    # --- Keys and members ---

    @rule(side=sides, scopes=scopes, hours=st.sampled_from([None, 20, 100]))
    def issue_key(
        self, side: int, scopes: tuple[str, ...], hours: int | None, user: str | None = None
    ) -> None:
        owner = self.sides[side]
        expires_at = self.now + timedelta(hours=hours) if hours else None
        wish = {"label": f"of {owner.mark}", "scopes": scopes, "user": user}
        expiry = {"expires_at": expires_at.isoformat()} if expires_at else {}
        made = self.do(side, 201, "POST", "/api/keys", wish | expiry).json
        key = Key(made["key"], frozenset(scopes), user, expires_at)
        owner.model.keys[key.hint] = key

    @rule(side=sides, scopes=scopes)
    def add_member(self, side: int, scopes: tuple[str, ...]) -> None:
        """With a key of their own."""
        owner = self.sides[side]
        name = f"user-{len(owner.model.keys)}-{owner.mark}"
        with self.hub.registry.database.write() as db:
            accounts = self.hub.accounts(db)
            accounts.attach(accounts.organisation(owner.slug), name, None)
        owner.model.members.add(name)
        self.issue_key(side, scopes, None, name)

    @rule(side=sides, choice=choices)
    def use_a_key(self, side: int, choice: int) -> None:
        """It opens its own organisation, as far as it goes."""
        owner = self.sides[side]
        key = one_of(owner.model.keys, choice)
        client = Client(self.hub, owner.slug, key.plain)
        for method, path, status in (
            ("GET", "/api/organisation", 200),
            ("DELETE", "/api/keys/kpf_zzzzzzzz", 404 if key.may("admin") else 403),
            ("DELETE", "/api/pages/none", 404 if key.may("publish") else 403),
        ):
            is_good = owner.model.is_good(key, self.now + SECOND)
            response = self.ask(side, method, path, client=client)
            assert response.status_int == (status if is_good else 401), response
            assert status != 200 or not is_good or response.json["slug"] == owner.slug

    @rule(side=sides, whose=sides, choice=st.integers(1, 9))
    def revoke_key(self, side: int, whose: int, choice: int) -> None:
        """Of the other organisation it cannot be; the first one is what this machine asks with."""
        hint = one_of(self.sides[whose].model.keys, choice).hint
        if not self.sides[side].client.key.startswith(hint):
            if side != whose:
                self.sides[side].guesses.append(hint)
            status = self.sides[side].model.revoke(hint)
            self.do(side, status, "DELETE", f"/api/keys/{hint}")

    @rule(side=sides, whose=sides)
    def remove_member(self, side: int, whose: int) -> None:
        for name in sorted(self.sides[whose].model.members)[:1]:
            if side != whose:
                self.sides[side].guesses.append(name)
            status = self.sides[side].model.remove_member(name)
            self.do(side, status, "DELETE", f"/api/members/{name}")

    # --- What happens to both ---

    @rule(hours=st.sampled_from([10, 40]))
    def time_passes(self, hours: int) -> None:
        """Keys expire."""
        self.now += timedelta(hours=hours)

    @rule()
    def collect(self) -> None:
        """What `hubrepo gc --grace 0` does."""
        registry = self.hub.registry
        tidy(registry)
        adopt_orphans(registry.database, registry.stores, now())
        sweep(registry.database, registry.stores)
        for side in self.sides:
            side.model.collect()

    # --- What must be true at every moment ---

    @precondition(lambda self: bool(self.sides))
    @invariant()
    def each_sees_its_own(self) -> None:
        for number, side in enumerate(self.sides):
            packages = self.get(number, "/api/packages").json
            assert [each["name"] for each in packages] == sorted(side.model.packages)
            for each in packages:
                package, shown = side.model.packages[each["name"]], each["latest_live_version"]
                assert each["versions_count"] == len(package.versions)
                assert each["archived"] == package.is_archived
                assert (shown and shown["version"]) == package.aliases.get("latest")
            pages = self.get(number, "/api/pages").json
            assert {each["path"]: (each["publication"], each["size"]) for each in pages} == {
                path: (each.number, each.size) for path, each in side.model.live_pages().items()
            }
            kept = self.get(number, "/api/organisation").json
            assert (kept["slug"], kept["stored_bytes"]) == (side.slug, side.model.stored_bytes)

    @rule(side=sides)
    def look_at_everything(self, side: int) -> None:
        """Whatever there may be, it is what the model says."""
        for name in PACKAGES:
            self._check_package(side, name)
            self.read_history(side, name)
            self.download_at_an_alias(side, name, "latest")
            for number in NUMBERS:
                self.download(side, name, number)
                known = self.sides[side].model.version(name, number)
                path, status = f"/api/packages/{name}/versions/{number}", 200 if known else 404
                told = self.get(side, path, status).json
                assert known is None or _told(told) == _known(known)
                self.get(side, f"{path}/history", status)
        for path in PAGES:
            self.list_publications(side, path)
            self.visit(side, path)

    def _check_package(self, side: int, name: str) -> None:
        package = self.sides[side].model.packages.get(name)
        told = self.get(side, f"/api/packages/{name}", 404 if package is None else 200).json
        if package is not None:
            versions = [_known(known) for known in reversed(package.versions)]
            assert [_told(each) for each in told["versions"]] == versions
            assert {each["name"]: each["version"] for each in told["aliases"]} == package.aliases

    def teardown(self) -> None:
        for number, side in enumerate(self.sides):
            self.look_at_everything(number)
            keys = self.get(number, "/api/keys").json
            assert [each["prefix"] for each in keys] == list(side.model.keys)
            members = self.get(number, "/api/members").json
            assert {each["username"] for each in members} == side.model.members
            # Who acted is one's own, or the operator.
            events = self.get(number, "/api/log?limit=1000").json
            actors = {each["actor"].removeprefix("refused ").split(" ")[0] for each in events}
            own = self.actors(side) | {"operator:test"}
            assert {actor.removeprefix("key:") for actor in actors} <= own
        assert findings(self.hub) == []
        self.hub.registry.database.close()

    def actors(self, side: Side) -> set[str]:
        """All who could act, as the log calls them."""
        return set(side.model.keys)


def _digest(made: Mapping[str, Any]) -> str:
    digest: str = made["content_hash"].removeprefix("sha256:")
    return digest


def _origin_json(origin: Origin | None) -> object:
    return {"package": origin[0], "version": origin[1]} if origin else None


def _told(version: Mapping[str, Any]) -> tuple[object, ...]:
    reason = version["tombstone_reason"] if version["tombstoned"] else None
    return version["version"], _digest(version), version["size"], reason, version["forked_from"]


def _known(version: Version) -> tuple[object, ...]:
    origin = _origin_json(version.origin)
    return version.number, version.digest, version.size, version.reason, origin


def one_of(credentials: Mapping[str, Any], choice: int) -> Any:
    return list(credentials.values())[choice % len(credentials)]


def starter(
    request: pytest.FixtureRequest, folder: Path, store: str, database: str
) -> Callable[[], TwoOrganisations]:
    """What begins a run of the machine that knows all features, each in a hub of its own."""
    folders = (folder / f"hub-{number}" for number in itertools.count())
    kept = {"pages__keep_publications": str(KEEP)}
    machine = TwoOrganisations
    if HAS_ARTIFACTS:
        from tests.features.artifacts.two_organisations import WithArtifacts

        machine = WithArtifacts
    return lambda: machine(make_hub(request, next(folders), store, database, **kept))
