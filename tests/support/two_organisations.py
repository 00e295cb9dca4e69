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
from tests.support.archives import make_zip, manifest, package_zip, page_zip
from tests.support.contract import file_part, multipart, text_part
from tests.support.features import HAS_ARTIFACTS
from tests.support.filled import findings, make_hub
from tests.support.hub import Client, Hub
from tests.support.model import FirstAnswer, Key, Organisation, Origin, Version

# How many past publications of a page the hub keeps.
KEEP = 2

PACKAGES = ("anvil", "bolt", "clamp")
PAGES = ("docs", "docs/a", "site")
NUMBERS = (1, 2, 3)

FORM = "multipart/form-data; boundary=frontier"
JSON = "application/json"
ENTRY = re.compile(r"^### Version (\d+)( \(tombstoned\))?$", re.MULTILINE)

_numbers = itertools.count(1)

sides = st.sampled_from([0, 1])
names = st.sampled_from(PACKAGES)
numbers = st.sampled_from([1, *NUMBERS])
aliases = st.sampled_from(["stable", "beta"])
paths = st.sampled_from(PAGES)
# Odd ones are the same for both organisations.
contents = st.integers(0, 3)
request_keys = st.sampled_from([None, None, "build-1", "build-2"])
choices = st.integers(0, 9)
scopes = st.sampled_from([(), ("read",), ("publish",), ("admin",)])


# Archives tell when they were made: the same one is the same for ever.
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
            self.publish(side, name, side, None)
        self.publish_the_same_page(0, "docs")

    # --- How they ask ---

    def ask(
        self,
        side: int,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str | None = None,
        client: Client | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """An answer, which says nothing of the other organisation."""
        self.now += timedelta(seconds=1)
        client = client or self.sides[side].client
        sent = {"content_type": content_type, "headers": headers or {}}
        response = client.call(method, path, body, **sent)
        self._check_said(side, response.body.decode("latin-1") + repr(response.headerlist))
        return response

    def _check_said(self, side: int, said: str) -> None:
        """Nothing of the other organisation, but for what this one said itself."""
        for guess in self.sides[side].guesses:
            said = said.replace(guess, "")
        other = self.sides[1 - side]
        assert other.mark not in said, said
        assert not [hint for hint in other.model.keys if hint in said], said
        assert not [digest for digest in other.model.tokens if digest in said], said

    def ask_json(self, side: int, method: str, path: str, value: object) -> TestResponse:
        return self.ask(side, method, path, json.dumps(value).encode(), JSON)

    def ask_once(
        self,
        side: int,
        path: str,
        key: str | None,
        content: object,
        body: bytes,
        content_type: str,
        act: Callable[[], int],
    ) -> TestResponse | None:
        """A POST, with an Idempotency-Key or none. The answer, if it is not that to an earlier one."""
        model = self.sides[side].model
        asked = (path, content)
        first = model.first_answer(key, self.now + timedelta(seconds=1)) if key else None
        headers = {"Idempotency-Key": key} if key else {}
        response = self.ask(side, "POST", path, body, content_type, headers=headers)
        if first is not None:
            is_same = first.asked == asked
            assert response.status_int == (first.status if is_same else 422), response
            assert response.body == first.body or not is_same
            return None
        assert "Idempotent-Replayed" not in response.headers
        assert response.status_int == act(), response
        if key and response.status_int < 300:
            model.answers[key] = FirstAnswer(asked, self.now, response.status_int, response.body)
        return response if response.status_int < 300 else None

    # --- Packages ---

    @rule(side=sides, name=names, key=request_keys)
    def register(self, side: int, name: str, key: str | None) -> None:
        body = json.dumps({"name": name}).encode()
        model = self.sides[side].model
        self.ask_once(
            side, "/api/packages", key, name, body, JSON, lambda: model.register(name)
        )  # fmt: skip

    @rule(side=sides, name=names, content=contents, key=request_keys)
    def publish(self, side: int, name: str, content: int, key: str | None) -> None:
        self._publish(side, name, package_archive(name, self.sides[side].text(content)), key)

    @rule(side=sides, name=names, source=names, number=numbers)
    def publish_a_declared_fork(self, side: int, name: str, source: str, number: int) -> None:
        archive = package_archive(name, self.sides[side].text(0))
        self._publish(side, name, archive, None, declared=(source, number))

    @rule(side=sides, name=names, whose=sides, source=names)
    def publish_a_claimed_fork(self, side: int, name: str, whose: int, source: str) -> None:
        """With the history of a package, of whichever organisation, in the archive."""
        owner, model = self.sides[whose], self.sides[side].model
        if source not in owner.model.packages or name == source:
            return
        history = owner.client.get(f"/api/packages/{source}/history").text
        version = owner.model.version(source, len(owner.model.packages[source].versions))
        mine = version and model.version(source, version.number)
        # Only the hash tells whose version was meant.
        agrees = mine and version and (not version.is_live or mine.digest == version.digest)
        origin = (source, version.number) if version and agrees else None
        # What it says of the other organisation is its publisher's own word, and stays in the archive.
        archive = make_zip({"package.toml": manifest(name), "HISTORY.md": history})
        is_new = name not in model.packages
        self._publish(side, name, archive, None, claimed=origin if is_new else None)

    def _publish(
        self,
        side: int,
        name: str,
        archive: bytes,
        key: str | None,
        declared: Origin | None = None,
        claimed: Origin | None = None,
    ) -> None:
        owner, model = self.sides[side], self.sides[side].model
        fields = {"summary": f"made by {owner.mark}"}
        if declared is not None:
            fields["forked_from"] = f"{declared[0]}@{declared[1]}"
        parts = [text_part(each, value) for each, value in fields.items()]
        response = self.ask_once(
            side,
            f"/api/packages/{name}/versions",
            key,
            (hashlib.sha256(archive).hexdigest(), fields),
            multipart([*parts, file_part(archive)]),
            FORM,
            lambda: model.may_publish(name, declared),
        )
        if response is None:
            return
        made = response.json
        origin = declared or claimed
        version = model.publish(name, _digest(made), made["size"], origin)
        assert (made["version"], made["package"]) == (version.number, name)
        assert made["forked_from"] == _origin_json(origin)

    @rule(side=sides, name=names, number=numbers)
    def tombstone(self, side: int, name: str, number: int) -> None:
        owner = self.sides[side]
        reason = f"because of {owner.mark}"
        path = f"/api/packages/{name}/versions/{number}"
        response = self.ask_json(side, "DELETE", path, {"reason": reason})
        assert response.status_int == owner.model.tombstone(name, number, reason)

    @rule(side=sides, name=names)
    def delete_package(self, side: int, name: str) -> None:
        owner = self.sides[side]
        reason = f"all of {owner.mark}"
        response = self.ask_json(side, "DELETE", f"/api/packages/{name}", {"reason": reason})
        assert response.status_int == owner.model.delete(name, reason)

    @rule(side=sides, name=names, alias=aliases, number=numbers)
    def set_alias(self, side: int, name: str, alias: str, number: int) -> None:
        path = f"/api/packages/{name}/aliases/{alias}"
        response = self.ask_json(side, "PUT", path, {"version": number})
        assert response.status_int == self.sides[side].model.set_alias(name, alias, number)

    @rule(side=sides, name=names, alias=aliases)
    def remove_alias(self, side: int, name: str, alias: str) -> None:
        response = self.ask(side, "DELETE", f"/api/packages/{name}/aliases/{alias}")
        assert response.status_int == self.sides[side].model.remove_alias(name, alias)

    @rule(side=sides, name=names, number=numbers)
    def download(self, side: int, name: str, number: int) -> None:
        version = self.sides[side].model.version(name, number)
        response = self.ask(side, "GET", f"/api/packages/{name}/versions/{number}/download")
        _check_download(response, version, 410)

    @rule(side=sides, name=names, alias=st.one_of(st.just("latest"), aliases))
    def download_at_an_alias(self, side: int, name: str, alias: str) -> None:
        version = self.sides[side].model.at_alias(name, alias)
        where = "latest" if alias == "latest" else f"aliases/{alias}/download"
        _check_download(self.ask(side, "GET", f"/api/packages/{name}/{where}"), version, 404)

    @rule(side=sides, name=names)
    def read_history(self, side: int, name: str) -> None:
        model = self.sides[side].model
        response = self.ask(side, "GET", f"/api/packages/{name}/history")
        if name not in model.packages:
            assert response.status_int == 404
            return
        told = [(int(number), not gone) for number, gone in ENTRY.findall(response.text)]
        assert told == list(model.history(name))

    # --- Pages ---

    @rule(side=sides, path=paths, content=contents, key=request_keys)
    def publish_page(self, side: int, path: str, content: int, key: str | None) -> None:
        text, model = self.sides[side].text(content), self.sides[side].model
        archive = page_archive(path, text)
        digest, size = hashlib.sha256(archive).hexdigest(), len(archive)
        response = self.ask_once(
            side,
            "/api/pages",
            key,
            digest,
            multipart([file_part(archive)]),
            FORM,
            lambda: model.publish_page(path, digest, size, text, self.now),
        )
        if response is not None:
            assert response.json["publication"] == model.pages[path].head
            assert response.json["content_hash"].removeprefix("sha256:") == digest

    @rule(first=sides, path=paths)
    def publish_the_same_page(self, first: int, path: str) -> None:
        """The same bytes are kept for each, and go without the other's."""
        for side in (first, 1 - first):
            self.publish_page(side, path, 1, None)

    @rule(side=sides, path=paths, number=numbers, key=request_keys)
    def roll_back(self, side: int, path: str, number: int, key: str | None) -> None:
        model = self.sides[side].model
        body = json.dumps({"publication": number}).encode()
        at = f"/api/pages/{path}/rollback"
        self.ask_once(
            side, at, key, number, body, JSON, lambda: model.roll_back(path, number, self.now)
        )  # fmt: skip

    @rule(side=sides, path=paths)
    def unpublish(self, side: int, path: str) -> None:
        response = self.ask(side, "DELETE", f"/api/pages/{path}")
        assert response.status_int == self.sides[side].model.unpublish(path, self.now)

    @rule(side=sides, path=paths, number=numbers)
    def forget(self, side: int, path: str, number: int) -> None:
        response = self.ask(side, "POST", f"/api/pages/{path}/publications/{number}/forget")
        assert response.status_int == self.sides[side].model.forget(path, number)

    @rule(side=sides, path=paths)
    def list_publications(self, side: int, path: str) -> None:
        model = self.sides[side].model
        response = self.ask(side, "GET", f"/api/pages/{path}/publications")
        kept = model.pages[path].kept if path in model.pages else {}
        assert response.status_int == (200 if kept else 404)
        told = response.json if kept else []
        assert [(each["publication"], each["live"]) for each in told] == [
            (number, kept[number].retired_at is None) for number in sorted(kept, reverse=True)
        ]

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
    def issue_key(self, side: int, scopes: tuple[str, ...], hours: int | None) -> None:
        self._issue_key(side, scopes, hours, None)

    @rule(side=sides, scopes=scopes)
    def add_member(self, side: int, scopes: tuple[str, ...]) -> None:
        """With a key of their own."""
        owner = self.sides[side]
        name = f"user-{next(_numbers)}-{owner.mark}"
        with self.hub.registry.database.write() as db:
            accounts = self.hub.accounts(db)
            accounts.attach(accounts.organisation(owner.slug), name, None)
        owner.model.members.add(name)
        self._issue_key(side, scopes, None, name)

    def _issue_key(
        self, side: int, scopes: tuple[str, ...], hours: int | None, user: str | None
    ) -> None:
        owner = self.sides[side]
        expires_at = self.now + timedelta(hours=hours) if hours else None
        wish = {"label": f"of {owner.mark}", "scopes": scopes, "user": user}
        expiry = {"expires_at": expires_at.isoformat()} if expires_at else {}
        response = self.ask_json(side, "POST", "/api/keys", wish | expiry)
        assert response.status_int == 201, response
        key = Key(response.json["key"], frozenset(scopes), user, expires_at)
        owner.model.keys[key.hint] = key

    @rule(side=sides, choice=st.integers(0, 9))
    def use_a_key(self, side: int, choice: int) -> None:
        """It opens its own organisation, as far as it goes."""
        owner = self.sides[side]
        key = one_of(owner.model.keys, choice)
        client = Client(self.hub, owner.slug, key.plain)
        is_good = owner.model.is_good(key, self.now + timedelta(seconds=1))
        response = self.ask(side, "GET", "/api/organisation", client=client)
        assert response.status_int == (200 if is_good else 401)
        assert not is_good or response.json["slug"] == owner.slug
        is_good = owner.model.is_good(key, self.now + timedelta(seconds=1))
        for path, role in (("/api/keys/kpf_zzzzzzzz", "admin"), ("/api/pages/none", "publish")):
            response = self.ask(side, "DELETE", path, client=client)
            assert response.status_int == (401 if not is_good else 404 if key.may(role) else 403)

    @rule(side=sides, whose=sides, choice=st.integers(1, 9))
    def revoke_key(self, side: int, whose: int, choice: int) -> None:
        """Of the other organisation it cannot be; the first one is what this machine asks with."""
        others = self.sides[whose].model.keys
        hint = one_of(others, choice).hint
        if hint != self.sides[side].client.key[: len(hint)]:
            if side != whose:
                self.sides[side].guesses.append(hint)
            response = self.ask(side, "DELETE", f"/api/keys/{hint}")
            assert response.status_int == self.sides[side].model.revoke(hint)

    @rule(side=sides, whose=sides)
    def remove_member(self, side: int, whose: int) -> None:
        for name in sorted(self.sides[whose].model.members)[:1]:
            if side != whose:
                self.sides[side].guesses.append(name)
            response = self.ask(side, "DELETE", f"/api/members/{name}")
            assert response.status_int == self.sides[side].model.remove_member(name)

    # --- What happens to both ---

    @rule(hours=st.sampled_from([10, 40]))
    def time_passes(self, hours: int) -> None:
        """Keys expire, and first answers are kept no longer."""
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

    @rule(side=sides, limit=st.integers(1, 2))
    def list_a_page_at_a_time(self, side: int, limit: int) -> None:
        for path in ("/api/packages", "/api/pages", "/api/packages/anvil/versions", "/api/log"):
            whole = self.ask(side, "GET", path + ("?limit=1000" if path.endswith("log") else ""))
            if whole.status_int == 200:
                assert self._listed(side, f"{path}?limit={limit}") == whole.json
        assert "anvil" in self.sides[side].model.packages or whole.status_int == 200

    def _listed(self, side: int, url: str | None) -> list[Any]:
        """Everything, a page after the other."""
        found: list[Any] = []
        while url is not None:
            response = self.ask(side, "GET", url)
            found += response.json
            link = re.fullmatch(r'<(.+)>; rel="next"', response.headers.get("Link", ""))
            url = link[1] if link else None
        return found

    @precondition(lambda self: bool(self.sides))
    @invariant()
    def each_sees_its_own(self) -> None:
        for number, side in enumerate(self.sides):
            self._check_packages(number, side.model)
            self._check_pages(number, side.model)
            kept = self.ask(number, "GET", "/api/organisation").json
            assert (kept["slug"], kept["stored_bytes"]) == (side.slug, side.model.stored_bytes)

    def _check_packages(self, side: int, model: Organisation) -> None:
        listed = self.ask(side, "GET", "/api/packages").json
        assert [each["name"] for each in listed] == sorted(model.packages)
        for each in listed:
            package = model.packages[each["name"]]
            assert each["versions_count"] == len(package.versions)
            assert each["archived"] == package.is_archived
            shown = each["latest_live_version"]
            assert (shown and shown["version"]) == package.aliases.get("latest")

    def _check_pages(self, side: int, model: Organisation) -> None:
        listed = self.ask(side, "GET", "/api/pages").json
        told = {each["path"]: (each["publication"], each["size"]) for each in listed}
        known = {path: (each.number, each.size) for path, each in model.live_pages().items()}
        assert told == known

    @rule(side=sides)
    def look_at_everything(self, side: int) -> None:
        """Whatever there may be, it is what the model says."""
        for name in PACKAGES:
            self._check_package(side, name)
            self.read_history(side, name)
            self.download_at_an_alias(side, name, "latest")
            for number in NUMBERS:
                self.download(side, name, number)
                self._check_version(side, name, number)
        for path in PAGES:
            self.list_publications(side, path)
            self.visit(side, path)

    def _check_version(self, side: int, name: str, number: int) -> None:
        known = self.sides[side].model.version(name, number)
        path = f"/api/packages/{name}/versions/{number}"
        response = self.ask(side, "GET", path)
        assert response.status_int == (404 if known is None else 200)
        assert known is None or _told(response.json) == _known(known)
        assert self.ask(side, "GET", f"{path}/history").status_int == response.status_int

    def _check_package(self, side: int, name: str) -> None:
        package = self.sides[side].model.packages.get(name)
        response = self.ask(side, "GET", f"/api/packages/{name}")
        assert response.status_int == (404 if package is None else 200)
        if package is None:
            return
        assert [_told(told) for told in response.json["versions"]] == [
            _known(known) for known in reversed(package.versions)
        ]
        aliases = {alias["name"]: alias["version"] for alias in response.json["aliases"]}
        assert aliases == package.aliases

    def teardown(self) -> None:
        for number, side in enumerate(self.sides):
            self.look_at_everything(number)
            keys = self.ask(number, "GET", "/api/keys").json
            assert [each["prefix"] for each in keys] == list(side.model.keys)
            members = self.ask(number, "GET", "/api/members").json
            assert {each["username"] for each in members} == side.model.members
            self._check_log(number)
        assert findings(self.hub) == []
        self.hub.registry.database.close()

    def _check_log(self, side: int) -> None:
        """Who acted is one's own, or the operator."""
        events = self._listed(side, "/api/log?limit=1000")
        own = self.actors(self.sides[side])
        actors = {each["actor"].removeprefix("refused ").split(" ")[0] for each in events}
        assert {actor.removeprefix("key:") for actor in actors} <= own | {"operator:test"}

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
    origin = version["forked_from"]
    return version["version"], _digest(version), version["size"], reason, origin


def _known(version: Version) -> tuple[object, ...]:
    origin = _origin_json(version.origin)
    return version.number, version.digest, version.size, version.reason, origin


def _check_download(response: TestResponse, version: Version | None, gone: int) -> None:
    if version is None:
        assert response.status_int == 404
    elif version.is_live:
        assert response.status_int == 200
        assert hashlib.sha256(response.body).hexdigest() == version.digest
    else:
        assert response.status_int == gone


def one_of(credentials: Mapping[str, Any], choice: int) -> Any:
    return list(credentials.values())[choice % len(credentials)]


def starter(
    request: pytest.FixtureRequest, folder: Path, store: str, database: str
) -> Callable[[], TwoOrganisations]:
    """What begins a run, each in a hub of its own."""
    folders = (folder / f"hub-{number}" for number in itertools.count())
    kept = {"pages__keep_publications": str(KEEP)}
    machine = machine_of_the_hub()
    return lambda: machine(make_hub(request, next(folders), store, database, **kept))


def machine_of_the_hub() -> type[TwoOrganisations]:
    """That which knows all features."""
    if not HAS_ARTIFACTS:
        return TwoOrganisations
    from tests.features.artifacts.two_organisations import WithArtifacts

    return WithArtifacts
