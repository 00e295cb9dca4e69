"""Clients that change a hub without a pause, and remember what it acknowledged.

Each is the only one that changes its package, page or product, so the hub must show its `state` at every
moment, or `state.after(pending)` while a step has no answer, and nothing else.
"""

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
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
    "publish": (201, 201),
    "tombstone": (200, 410),
    "alias": (200, 200),
    "publish page": (201, 201),
    "roll-back": (200, 200),
    "unpublish": (204, 404),
    "create": (201, 409),
    "remove": (204, 404),
    "grant": (201, 201),
    "revoke": (204, 404),
    "upload": (201, 409),
    "withdraw": (204, 404),
    "prune": (204, 404),
}
# The hub is busy, or another process is just deleting the same bytes: the step is tried again.
BUSY, LEAVING = 503, BlobLeaving.message.encode()
PAGE_ACTIONS = {"pages:publish", "pages:roll-back", "pages:unpublish"}


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
    """An organisation's key, an admin's token, and the token of a holder who is granted things."""

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
        """The public name of the holder's token."""
        return hashlib.sha256(self.holder.encode()).hexdigest()


class Client:
    """A client that takes one step after the other, each repeated until it is acknowledged.

    Subclasses choose (`next`) and send (`do`) steps, and return what the hub shows, checked (`observe`).
    """

    state: Any

    def __init__(self, name: str, access: Access, seed: int) -> None:
        self.name, self.access, self.dice = name, access, random.Random(f"{seed} {name}")
        self.done, self.refused, self.count = Counter[str](), 0, 0
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
            self.refused += 1
            is_open = self.was_done or self.is_unsure
            # Bytes that a killed process was deleting cannot be put for two minutes.
            if LEAVING in answer.body and not is_open:
                self.pending = None
            else:
                self.is_unsure = True
            return False
        if self.is_obsolete(wire, step, answer):
            self.pending = None
            return False
        self.acknowledge(step, answer)
        self.pending, self.was_done, self.is_unsure = None, False, False
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

    def check(self, hub: HubProcess, *, all_: bool = False) -> None:
        """Check that the hub shows what was acknowledged, or what the pending step makes of it.

        No process may be left that could still do that step.
        """
        with self.access.wire(hub) as wire:
            seen = self.observe(wire, None if all_ else NEWEST)
        self.is_unsure = False
        if seen != self.state:
            assert self.pending, (self.name, seen, self.state)
            assert not self.was_done, (self.name, seen, self.state)
            after = self.state.after(self.pending, seen)
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
        key, live, wish = f"{self.name}-{self.count}", self.state.live, self.dice.random()
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
        return PackageState({number: Listed(number, content_hash, tombstoned=False)})

    def observe(self, wire: Wire, newest: int | None) -> PackageState:
        answer = wire.ask("GET", f"/api/packages/{self.name}")
        if answer.status == 404:
            return PackageState()
        versions = check_package(wire, self.name, newest)
        aliases = {each["name"]: each["version"] for each in answer.json["aliases"]}
        return PackageState(versions, aliases.get("stable", 0))


class Owner(Client):
    """Publishes generations of a site at a page, rolls them back, and unpublishes the page.

    With `generations` the same few archives come again and again.
    """

    state = PageState()

    def __init__(
        self, site: Site, access: Access, seed: int, keep: int = KEEP, generations: int = 0
    ) -> None:
        super().__init__(site.path, access, seed)
        self.site, self.keep, self.generations = site, keep, generations

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
        """Return what is kept of the page, by number."""
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
            is_granted = listed.status == 200 and self.name in listed.json
            assert is_granted == (state.flags is not None)
            for version in sorted(state.versions or {})[:1]:
                fine = {200} if "download" in (state.flags or ()) else {401, 403}
                assert download(holder, self.name, version).status in fine


class Keeper:
    """Issues and revokes credentials, which work from the moment they are shown until they are revoked.

    A subclass says of which kind. One that is issued without an answer is nobody's.
    """

    issue, revoke = "", ""

    def __init__(self, access: Access, seed: int) -> None:
        self.access, self.dice = access, random.Random(f"{seed} {self.issue}")
        self.good: dict[str, str] = {}
        self.dead: list[str] = []
        self.done, self.pending = Counter[str](), ""

    def go_on(self, hub: HubProcess, answered: Callable[[], None]) -> None:
        """Issue and revoke until there is no hub."""
        with suppress(OSError, ValueError), self.access.wire(hub) as wire:
            while True:
                self.act(wire)
                answered()

    def act(self, wire: Wire) -> None:
        """Issue or revoke one, or try again to revoke one."""
        is_retry = bool(self.pending)
        if is_retry or (self.good and self.dice.random() < 0.4):
            self.pending = self.pending or self.dice.choice(sorted(self.good))
            answer = wire.ask("DELETE", f"{self.revoke}/{self.pending}")
            if answer.status != BUSY:
                assert answer.status in ({204, 404} if is_retry else {204}), answer
                self.dead.append(self.good.pop(self.pending))
                self.done[f"DELETE {self.revoke}"] += 1
                self.pending = ""
            return
        answer = self.ask_for_one(wire)
        if answer.status != BUSY:
            assert answer.status == 201, answer
            name, credential = self.issued(answer)
            self.good[name] = credential
            self.done[f"issue at {self.issue}"] += 1

    def check(self, hub: HubProcess, *, all_: bool) -> None:
        """Check that shown credentials are good, and revoked ones are not."""
        few = slice(None) if all_ else slice(-NEWEST, None)
        good = [plain for name, plain in self.good.items() if name != self.pending]
        assert {self.status(hub, plain) for plain in good[few]} <= {200}
        assert {self.status(hub, plain) for plain in self.dead[few]} <= {401}


class KeyKeeper(Keeper):
    """Issues and revokes API keys."""

    issue = revoke = "/api/keys"

    def ask_for_one(self, wire: Wire) -> Answer:
        return wire.ask_json("POST", self.issue, {"label": "stress", "scopes": ["read"]})

    def issued(self, answer: Answer) -> tuple[str, str]:
        return answer.json["prefix"], answer.json["key"]

    def status(self, hub: HubProcess, key: str) -> int:
        with Wire(hub.port, key) as wire:
            return wire.ask("GET", "/api/packages").status


class TokenKeeper(Keeper):
    """Registers and prunes tokens for artifacts."""

    issue, revoke = "/register", "/prune"

    def ask_for_one(self, wire: Wire) -> Answer:
        return wire.ask_json("PUT", self.issue, {})

    def issued(self, answer: Answer) -> tuple[str, str]:
        return hashlib.sha256(answer.body).hexdigest(), answer.body.decode()

    def status(self, hub: HubProcess, token: str) -> int:
        with Wire(hub.port, token=token) as wire:
            return wire.ask("GET", "/product/access").status


class Reader:
    """Downloads versions while others change them: whole or gone, and nothing else."""

    def __init__(self, clients: Iterable[Packager | Uploader], access: Access, seed: int) -> None:
        self.clients, self.access, self.dice = (
            list(clients),
            access,
            random.Random(f"{seed} reader"),
        )
        self.done = Counter[str]()

    def go_on(self, hub: HubProcess, _answered: Callable[[], None]) -> None:
        """Download until there is no hub."""
        with suppress(OSError, ValueError), self.access.wire(hub) as wire:
            while True:
                client = self.dice.choice(self.clients)
                if isinstance(client, Packager):
                    self._read_package(wire, client)
                else:
                    self._read_product(wire, client)
                self.done["download"] += 1

    def _read_package(self, wire: Wire, packager: Packager) -> None:
        for version in self.dice.choices([*packager.state.versions.values()] or [None]):
            number = version.number if version else 1
            path = f"/api/packages/{packager.name}/versions/{number}/download"
            answer = wire.ask("GET", path)
            assert answer.status in {200, 410} or version is None, answer
            if version and answer.status == 200:
                assert checksum(answer.body) == version.content_hash

    def _read_product(self, wire: Wire, uploader: Uploader) -> None:
        version = self.dice.choice(sorted(uploader.state.versions or IDENTIFIERS))
        answer = download(wire, uploader.name, version)
        assert answer.status in {200, 404}, answer
        if answer.status == 200:
            assert answer.headers["x-checksum-sha256"] == checksum(answer.body)[7:]
            assert checksum(answer.body) in uploader.sent[version]


def download(wire: Wire, product: str, version: str) -> Answer:
    """Download a version of a product."""
    return wire.ask("GET", f"/product/download/{product}/{version}")


def roll_back(wire: Wire, path: str, number: int, headers: dict[str, str]) -> Answer:
    """Make a publication of a page live again."""
    json_ = {"Content-Type": "application/json", **headers}
    return wire.ask("POST", f"/api/pages/{path}/rollback", b'{"publication":%d}' % number, json_)


class Crowd:
    """Threads of clients. `join` waits for all, and raises what went wrong in any of them."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def add(self, act: Callable[..., object], *arguments: object) -> None:
        """Start a thread."""

        def go() -> None:
            try:
                act(*arguments)
            except BaseException as error:  # noqa: BLE001 - raised again by the test, in its own thread
                self.failures.append(error)

        self.threads.append(threading.Thread(target=go))
        self.threads[-1].start()

    def join(self) -> None:
        for each in self.threads:
            each.join()
        if self.failures:
            raise BaseExceptionGroup("clients met a violation", self.failures)
