"""Clients that change a hub without a pause, and remember what it acknowledged.

Each is the only one that changes its package, page or product, so the hub must show its `state` at every
moment, or `state.after(pending)` while a step has no answer, and nothing else.
"""

import hashlib
import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.audit import events_of
from hubrepo.kernel.blobs.services import BlobLeaving
from hubrepo.kernel.db import Database
from tests.stress.agreement import Listed, check_package
from tests.stress.site import Site, check_gone, check_site
from tests.stress.states import PackageState, PageState, ProductState, Step, checksum, product_of
from tests.support.archives import package_zip
from tests.support.process import Answer, HubProcess, Wire
from tests.support.uploads import FORM, first_admin, form

# Past publications that the hubs keep of each page.
KEEP = 3
# Unless everything is checked: so many of the newest.
NEWEST = 2
FLAGS = ("maintainer", "download", "upload", "delete")
# Several products upload these contents again and again: one client deletes them while another puts them.
SHARED = tuple(f"shared {number}\n".encode() * 5000 for number in range(3))
IDENTIFIERS = tuple(f"v{number}" for number in range(8))

# Statuses of a step that is done now, and of one that was done before the client was cut off.
DONE = {
    "publish": (201, 201), "tombstone": (200, 410), "alias": (200, 200),
    "publish page": (201, 201), "roll-back": (200, 200), "unpublish": (204, 404),
    "create": (201, 409), "remove": (204, 404), "upload": (201, 409), "withdraw": (204, 404),
    "grant": (201, 201), "revoke": (204, 404), "prune": (204, 404),
}  # fmt: skip
# The hub is busy, or another process is just deleting the same bytes: the step is tried again.
BUSY, LEAVING = 503, BlobLeaving.message.encode()
PAGE_ACTIONS = {"pages:publish", "pages:roll-back", "pages:unpublish"}


def kinds_found(hub: HubProcess) -> set[str]:
    """Return the kinds of what `hubrepo check --deep` finds."""
    problem = ""
    try:
        told = hub.command("check", "--json", "--deep")
    except subprocess.CalledProcessError as error:
        told, problem = error.stdout, error.stderr
    assert told, problem
    return set(json.loads(told.splitlines()[-1])["checked"]["found"])


def page_events(hub: HubProcess) -> list[tuple[str, str]]:
    """Return the changes of pages in the audit log, oldest first: (act, path)."""
    database = Database(hub.database_url)
    with database.read() as db:
        organisation_id = db.query(Organisation.id).filter_by(slug="acme").scalar()
        events = [
            (each.action.removeprefix("pages:"), each.subject.removeprefix("page:"))
            for each in events_of(db, organisation_id, limit=1_000_000)
            if each.action in PAGE_ACTIONS and each.outcome == "done"
        ]
    database.close()
    return events[::-1]


@dataclass
class Access:
    """The credentials of an organisation: its key, an admin's token, and a holder's token."""

    admin: str = ""
    holder: str = ""
    slug: str = "acme"

    def make(self, hub: HubProcess) -> "Access":
        """Make the tokens of the hub, unless they exist."""
        self.admin = self.admin or first_admin(hub)
        if not self.holder:
            with self.wire(hub) as wire:
                self.holder = wire.ask_json("PUT", "/register", {}).body.decode()
        return self

    def wire(self, hub: HubProcess, token: str = "") -> Wire:
        """Connect with the key and a token, by default the admin's."""
        return Wire(hub.port, hub.key, token=token or self.admin)

    @property
    def digest(self) -> str:
        return _digest(self.holder)


class Client:
    """A client that takes one step after the other, each repeated until it is acknowledged.

    Subclasses choose (`next`) and send (`do`) steps, and return what the hub shows, checked (`observe`).
    """

    state: Any

    def __init__(self, name: str, access: Access, seed: int) -> None:
        self.name, self.access, self.dice = name, access, random.Random(f"{seed} {name}")
        self.done, self.count = Counter[str](), 0
        self.pending: Step | None = None
        # The pending step was found done; or nobody knows, since the hub was busy at first.
        self.was_done = self.is_unsure = False

    def go_on(self, hub: HubProcess, answered: Callable[[], None]) -> None:
        """Take steps until there is no hub, or until `answered` raises ConnectionAbortedError."""
        with suppress(OSError, ValueError), self.access.wire(hub) as wire:
            while True:
                if self.act(wire):
                    answered()

    def act(self, wire: Wire) -> bool:
        """Try one step. Return True if it was acknowledged."""
        if self.pending is None:
            self.count += 1
            self.pending = self.next(wire)
        step, answer = self.pending, self.do(wire, self.pending)
        if answer.status == BUSY:
            # Bytes that a killed process was deleting cannot be put for two minutes.
            if LEAVING in answer.body and not (self.was_done or self.is_unsure):
                self.pending = None
            else:
                self.is_unsure = True
            return False
        if self.is_obsolete(wire, step, answer):
            self.pending = None
            return False
        self.acknowledge(step, answer)
        self.done[step.kind] += 1
        return True

    def acknowledge(self, step: Step, answer: Answer) -> None:
        """Check the answer: a step that was done before the client was cut off is not done twice."""
        fine = set(DONE[step.kind]) if self.is_unsure else {DONE[step.kind][self.was_done]}
        assert answer.status in fine, (self.name, step, answer)
        if step.key and not self.is_unsure:
            assert ("idempotent-replayed" in answer.headers) == self.was_done, (step, answer)
        seen = self.answered(answer)
        if not self.was_done:
            self.state = self.state.after(step, seen)
        self.pending, self.was_done, self.is_unsure = None, False, False

    def check(self, hub: HubProcess, *, all_: bool = False) -> None:
        """Check that the hub shows what was acknowledged, or what the pending step makes of it.

        No process may be left that could still do that step.
        """
        with self.access.wire(hub) as wire:
            seen = self.observe(wire, None if all_ else NEWEST)
        self.is_unsure = False
        if seen != self.state:
            may_be_done = self.pending and not self.was_done
            after = self.state.after(self.pending, seen) if may_be_done else self.state
            assert seen == after, (self.name, seen, self.state, self.pending)
            self.state, self.was_done = seen, True

    def answered(self, answer: Answer) -> Any:
        """Return what an acknowledgement shows of the state."""

    def is_obsolete(self, _wire: Wire, _step: Step, _answer: Answer) -> bool:
        """True if the step is impossible by now."""
        return False


class Packager(Client):
    """Publishes and tombstones versions of a package, and moves an alias."""

    state = PackageState()

    def next(self, _wire: Wire) -> Step:
        key, wish = f"{self.name}-{self.count}", self.dice.random()
        live = [each.number for each in self.state.versions.values() if not each.tombstoned]
        if live and wish < 0.35:
            return Step("tombstone" if wish < 0.2 else "alias", number=self.dice.choice(live))
        # Uploads of more than half a MiB are spooled to disk.
        most = 1_000_000 if wish > 0.9 else 100_000
        noise = self.dice.randbytes(self.dice.randrange(most))
        content = package_zip(self.name, readme=key, noise=noise)
        return Step("publish", key, content=content)

    def do(self, wire: Wire, step: Step) -> Answer:
        below = f"/api/packages/{self.name}"
        if step.kind == "publish":
            return wire.publish(self.name, step.content, headers=step.headers)
        if step.kind == "alias":
            return wire.ask_json("PUT", f"{below}/aliases/stable", {"version": step.number})
        return wire.ask_json("DELETE", f"{below}/versions/{step.number}", {"reason": "leaked"})

    def answered(self, answer: Answer) -> PackageState:
        if answer.status != 201:
            return self.state
        number, content_hash = answer.json["version"], answer.json["content_hash"]
        assert number == len(self.state.versions) + (not self.was_done), answer
        assert not self.was_done or self.state.versions[number].content_hash == content_hash
        return PackageState({number: Listed(number, content_hash, tombstoned=False)})

    def observe(self, wire: Wire, newest: int | None) -> PackageState:
        answer = wire.ask("GET", f"/api/packages/{self.name}")
        if answer.status == 404:
            return PackageState()
        versions = check_package(wire, self.name, newest)
        aliases = {each["name"]: each["version"] for each in answer.json["aliases"]}
        return PackageState(versions, aliases.get("stable", 0))

    def some_download(self, dice: random.Random) -> tuple[str, set[int], set[str]]:
        """Return the path of a version, the statuses that are fine, and its hash."""
        if not self.state.versions:
            return "/api/packages", {200}, set()
        version = dice.choice([*self.state.versions.values()])
        path = f"/api/packages/{self.name}/versions/{version.number}/download"
        return path, {200, 410}, {version.content_hash}


class Owner(Client):
    """Publishes generations of a site at a page, rolls them back, and unpublishes the page.

    The hub keeps `keep` past publications. With `generations` the same few archives come again and again.
    """

    state, keep, generations = PageState(), KEEP, 0

    def __init__(self, site: Site, access: Access, seed: int) -> None:
        super().__init__(site.path, access, seed)
        self.site = site

    def next(self, wire: Wire) -> Step:
        key, live, wish = f"{self.name}-{self.count}", self.state.live, self.dice.random()
        others = [number for number in self.publications(wire) if number != live]
        if live and wish < 0.15:
            return Step("unpublish")
        if others and wish < 0.4:
            return Step("roll-back", key, number=self.dice.choice(others))
        few = self.generations and self.dice.randint(1, self.generations)
        return Step("publish page", key, generation=few or self.count)

    def do(self, wire: Wire, step: Step) -> Answer:
        if step.kind == "unpublish":
            return wire.ask("DELETE", f"/api/pages/{self.name}")
        if step.kind == "roll-back":
            return roll_back(wire, self.name, step.number, step.headers)
        archive = self.site.archive(step.generation)
        return wire.publish_page(archive, headers=step.headers, path=self.name)

    def acknowledge(self, step: Step, answer: Answer) -> None:
        super().acknowledge(step, answer)
        if self.state.live:
            generation = self.state.generations[self.state.live]
            assert answer.json["publication"] == self.state.live
            assert answer.json["content_hash"] == self.site.content_hash(generation)

    def is_obsolete(self, wire: Wire, step: Step, answer: Answer) -> bool:
        """True if the publication was let go by a start: one more than are kept had been there."""
        is_lost = step.kind == "roll-back" and answer.status == 404 and not self.was_done
        return is_lost and step.number not in self.publications(wire)

    def publications(self, wire: Wire) -> dict[int, Any]:
        answer = wire.ask("GET", f"/api/pages/{self.name}/publications")
        assert answer.status in {200, 404}, answer
        return {each["publication"]: each for each in answer.json} if answer.status == 200 else {}

    def observe(self, wire: Wire, _newest: int | None) -> PageState:
        answer = wire.ask("GET", f"/api/pages/{self.name}")
        live = answer.json["publication"] if answer.status == 200 else 0
        # No two states that follow one another have the same publication live.
        state = self.state
        if self.pending and not self.was_done and live != state.live:
            state = state.after(self.pending)
        assert live == state.live, (self.site, answer, state, self.pending)
        self.check_live(wire, state)
        kept = self.publications(wire)
        # More than that, left by a kill or an unpublish, was let go by the start.
        most = self.keep + bool(state.live)
        assert min(len(state.generations), self.keep) <= len(kept) <= most, (kept, state)
        for number, each in kept.items():
            assert each["content_hash"] == self.site.content_hash(state.generations[number])
            assert each["live"] == (number == state.live)
        return state

    def check_live(self, wire: Wire, state: PageState) -> None:
        """Check that every file of the live generation is there, or of an unpublished page none."""
        base = f"/pages/{self.access.slug}"
        if state.live:
            check_site(wire, self.site, state.generations[state.live], base)
        else:
            check_gone(wire, self.site, base)

    @property
    def events(self) -> Counter[tuple[str, str]]:
        """The changes that the audit log has: also one that was done but not acknowledged."""
        # A copy first: the client may be at work.
        acts = Counter(dict(self.done))
        acts.update([self.pending.kind] if self.was_done and self.pending else [])
        return Counter({(kind.split()[0], self.name): count for kind, count in acts.items()})


class Uploader(Client):
    """Creates and deletes a product, its versions, and the grant of a holder."""

    state = ProductState()

    def __init__(self, name: str, access: Access, seed: int) -> None:
        super().__init__(name, access, seed)
        self.sent: dict[str, set[str]] = {}

    def next(self, _wire: Wire) -> Step:
        versions, wish = self.state.versions, self.dice.random()
        if versions is None:
            return Step("create")
        if wish < 0.04:
            return Step("remove")
        if wish < 0.15:
            return Step("grant", flags=frozenset(f for f in FLAGS if self.dice.random() < 0.5))
        if wish < 0.2 and self.state.flags is not None:
            return Step("revoke")
        free = [each for each in IDENTIFIERS if each not in versions]
        if versions and (wish < 0.45 or not free):
            return Step("withdraw", version=self.dice.choice(sorted(versions)))
        noise = self.dice.randbytes(self.dice.randrange(300_000))
        content = self.dice.choice((*SHARED, noise, noise, noise))
        return Step("upload", version=self.dice.choice(free), content=content)

    def do(self, wire: Wire, step: Step) -> Answer:
        token = {"product": self.name, "token": self.access.digest}
        match step.kind:
            case "create":
                return wire.ask_json("PUT", "/product/create", {"name": self.name})
            case "remove":
                return wire.ask("DELETE", f"/product/delete/{self.name}")
            case "grant":
                wish = {**token, "permissions": dict.fromkeys(sorted(step.flags), True)}
                return wire.ask_json("PUT", "/product/modify/addToken", wish)
            case "revoke":
                return wire.ask_json("DELETE", "/product/modify/deleteToken", token)
            case "prune":
                return wire.ask("DELETE", f"/prune/{self.access.digest}")
            case "upload":
                self.sent.setdefault(step.version, set()).add(checksum(step.content))
                body = form(self.name, step.version, step.content)
                return wire.ask("POST", "/product/upload", body, FORM)
        return wire.ask("DELETE", f"/product/delete/{self.name}/{step.version}")

    def acknowledge(self, step: Step, answer: Answer) -> None:
        super().acknowledge(step, answer)
        if step.kind == "upload" and answer.status == 201:
            assert answer.json["checksum"] == checksum(step.content)

    def some_download(self, dice: random.Random) -> tuple[str, set[int], set[str]]:
        """Return the path of a version, the statuses that are fine, and the hashes of all it ever was."""
        version = dice.choice(sorted(self.state.versions or IDENTIFIERS))
        sent = self.sent.setdefault(version, set())
        return f"/product/download/{self.name}/{version}", {200, 404}, sent

    def observe(self, wire: Wire, newest: int | None) -> ProductState:
        fetched = wire.ask("GET", f"/product/fetch/{self.name}")
        seen = product_of(fetched, self.access.digest)
        for version, expected in sorted((seen.versions or {}).items())[:newest]:
            answer = download(wire, self.name, version)
            assert (answer.status, checksum(answer.body)) == (200, expected)
        for version in set(IDENTIFIERS) - set(seen.versions or {}):
            assert download(wire, self.name, version).status == 404
        return seen

    def check(self, hub: HubProcess, *, all_: bool = False) -> None:
        """Check the product, and that the holder can do what was granted and nothing else."""
        super().check(hub, all_=all_)
        state = self.state
        with self.access.wire(hub, self.access.holder) as holder:
            listed = holder.ask("GET", "/product/access")
            assert (listed.status == 200 and self.name in listed.json) == (state.flags is not None)
            for version in sorted(state.versions or {})[:1]:
                fine = {200} if "download" in (state.flags or ()) else {401, 403}
                assert download(holder, self.name, version).status in fine


class Keeper:
    """Issues and revokes API keys, or tokens for artifacts.

    One works from the moment it is shown until it is revoked. One that is issued without an answer is lost.
    """

    def __init__(self, access: Access, seed: int, *, of_tokens: bool) -> None:
        self.access, self.dice, self.of_tokens = access, random.Random(f"{seed} keys"), of_tokens
        self.good: dict[str, str] = {}
        self.dead: list[str] = []
        self.done, self.pending = Counter[str](), ""

    def go_on(self, hub: HubProcess, answered: Callable[[], None]) -> None:
        with suppress(OSError, ValueError), self.access.wire(hub) as wire:
            while True:
                if self.pending or (self.good and self.dice.random() < 0.4):
                    self.revoke(wire)
                else:
                    self.issue(wire)
                answered()

    def issue(self, wire: Wire) -> None:
        if self.of_tokens:
            answer = wire.ask_json("PUT", "/register", {})
        else:
            answer = wire.ask_json("POST", "/api/keys", {"label": "stress", "scopes": ["read"]})
        if answer.status != BUSY:
            assert answer.status == 201, answer
            plain = answer.body.decode() if self.of_tokens else answer.json["key"]
            self.good[_digest(plain) if self.of_tokens else answer.json["prefix"]] = plain
            self.done["issue a token" if self.of_tokens else "issue a key"] += 1

    def revoke(self, wire: Wire) -> None:
        fine = {204, 404} if self.pending and self.of_tokens else {204}
        self.pending = self.pending or self.dice.choice(sorted(self.good))
        path = "/prune" if self.of_tokens else "/api/keys"
        answer = wire.ask("DELETE", f"{path}/{self.pending}")
        if answer.status != BUSY:
            assert answer.status in fine, answer
            self.dead.append(self.good.pop(self.pending))
            self.pending = ""
            self.done[f"DELETE {path}"] += 1

    def check(self, hub: HubProcess, *, all_: bool) -> None:
        """Check that shown credentials are good, and revoked ones are not."""
        few = slice(None) if all_ else slice(-NEWEST, None)
        good = [plain for name, plain in self.good.items() if name != self.pending]
        assert {self.status(hub, plain) for plain in good[few]} <= {200}
        assert {self.status(hub, plain) for plain in self.dead[few]} <= {401}

    def status(self, hub: HubProcess, plain: str) -> int:
        kind, path = ("token", "/product/access") if self.of_tokens else ("key", "/api/packages")
        with Wire(hub.port, **{kind: plain}) as wire:
            return wire.ask("GET", path).status


class Reader:
    """Downloads versions while others change them: whole or gone, and nothing else."""

    def __init__(self, clients: Iterable[Packager | Uploader], access: Access, seed: int) -> None:
        self.clients, self.access = list(clients), access
        self.dice, self.done = random.Random(f"{seed} reader"), Counter[str]()

    def go_on(self, hub: HubProcess, answered: Callable[[], None]) -> None:
        with suppress(OSError, ValueError), self.access.wire(hub) as wire:
            while True:
                path, fine, known = self.dice.choice(self.clients).some_download(self.dice)
                answer = wire.ask("GET", path)
                assert answer.status in fine, answer
                if answer.status == 200 and known:
                    assert checksum(answer.body) in known
                self.done["download"] += 1
                answered()


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


def download(wire: Wire, product: str, version: str) -> Answer:
    return wire.ask("GET", f"/product/download/{product}/{version}")


def roll_back(wire: Wire, path: str, number: int, headers: dict[str, str]) -> Answer:
    json_ = {"Content-Type": "application/json", **headers}
    return wire.ask("POST", f"/api/pages/{path}/rollback", b'{"publication":%d}' % number, json_)


class Crowd:
    """Threads of clients. `join` waits for all, and raises what went wrong in one of them."""

    def __init__(self) -> None:
        self.pool, self.futures = ThreadPoolExecutor(64), []

    def add(self, act: Callable[..., object], *arguments: object) -> None:
        self.futures.append(self.pool.submit(act, *arguments))

    def join(self) -> None:
        self.pool.shutdown()
        for each in self.futures:
            each.result()


class Ledger:
    """Clients of every kind, and what each was acknowledged."""

    def __init__(self, seed: int) -> None:
        access = self.access = Access()
        sites = (
            Site("docs", files=6),
            Site("blog/2026", files=3, large=0),
            Site("blog/2027", files=3),
        )
        self.owners = [Owner(site, access, seed) for site in sites]
        self.packagers = [Packager(name, access, seed) for name in ("anvil", "bellows")]
        self.uploaders = [Uploader(name, access, seed) for name in ("engine", "bolt")]
        self.changers = [*self.owners, *self.packagers, *self.uploaders]
        keepers = [Keeper(access, seed, of_tokens=each) for each in (True, False)]
        self.readers = [Reader(each, access, seed) for each in (self.packagers, self.uploaders)]
        self.checked = [*self.changers, *keepers]

    def crowd(self, hub: HubProcess, answered: Callable[[], None]) -> Crowd:
        crowd = Crowd()
        for each in (*self.checked, *self.readers):
            crowd.add(each.go_on, hub, answered)
        return crowd

    def check(self, hub: HubProcess, *, all_: bool = False) -> None:
        """Check that everything is as acknowledged, or as a step without an answer makes it."""
        self.access.make(hub)
        with hub.wire() as wire:
            pages = {each["path"] for each in wire.ask("GET", "/api/pages").json}
        for each in self.checked:
            each.check(hub, all_=all_)
        assert pages == {each.name for each in self.owners if each.state.live}

    @property
    def done(self) -> dict[str, int]:
        return dict(sum((each.done for each in (*self.checked, *self.readers)), Counter()))

    @property
    def events(self) -> Counter[tuple[str, str]]:
        return sum((each.events for each in self.owners), Counter())
