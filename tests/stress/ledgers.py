"""Clients that change packages and keys, and remember what they were told of each."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.stress.agreement import Listed, check_package
from tests.support.archives import package_zip
from tests.support.process import Answer, HubProcess, Wire

JSON = {"Content-Type": "application/json"}
NEWEST = 2
# Others were writing for too long: it is tried again, and may have been done.
BUSY = 503


@dataclass(frozen=True)
class Change:
    """What is to be done with a package. Its key tells the hub, if it is tried again, that it is the same."""

    kind: str
    key: str
    number: int = 0
    archive: bytes = b""


class Packager:
    """The only client that changes a package: one change after the other, each until acknowledged."""

    def __init__(self, package: str, seed: int) -> None:
        self.package, self._dice = package, random.Random(f"{seed} {package}")
        self.versions: dict[int, Listed] = {}
        self.stable = 0
        self.done = Counter[str]()
        self.refused = 0
        self._pending: Change | None = None
        self._was_cut_off = False

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:
        """Change the package until there is no hub any more."""
        try:
            with hub.wire() as wire:
                while True:
                    self._pending = self._pending or self._next()
                    answer = self._do(wire, self._pending)
                    if answer.status == BUSY:
                        self.refused += 1
                        self._was_cut_off = True
                        continue
                    self._acknowledge(self._pending, answer)
                    tell()
        except (OSError, ValueError):
            self._was_cut_off = True

    def _live(self) -> list[int]:
        return [number for number, each in self.versions.items() if not each.tombstoned]

    def _next(self) -> Change:
        key = f"{self.package}-{sum(self.done.values()) + 1}"
        live, wish = self._live(), self._dice.random()
        if live and wish < 0.2:
            return Change("tombstone", key, self._dice.choice(live))
        if live and wish < 0.35:
            return Change("alias", key, self._dice.choice(live))
        noise = self._dice.randbytes(self._dice.randrange(100_000))
        return Change("publish", key, archive=package_zip(self.package, readme=key, noise=noise))

    def _do(self, wire: Wire, change: Change) -> Answer:
        below = f"/api/packages/{self.package}"
        if change.kind == "publish":
            headers = {"Idempotency-Key": change.key}
            return wire.publish(self.package, change.archive, headers=headers)
        if change.kind == "tombstone":
            path = f"{below}/versions/{change.number}"
            return wire.ask_json("DELETE", path, {"reason": "leaked"})
        return wire.ask_json("PUT", f"{below}/aliases/stable", {"version": change.number})

    def _acknowledge(self, change: Change, answer: Answer) -> None:
        """What was done before the client was cut off is not done twice."""
        if change.kind == "publish":
            assert answer.status == 201, (change.key, answer)
            number = answer.json["version"]
            assert number == len(self.versions) + 1, (change.key, answer)
            self.versions[number] = Listed(number, answer.json["content_hash"], tombstoned=False)
        elif change.kind == "tombstone":
            fine = {200, 410} if self._was_cut_off else {200}
            assert answer.status in fine, (change, answer)
            old = self.versions[change.number]
            self.versions[change.number] = Listed(old.number, old.content_hash, tombstoned=True)
            self.stable = 0 if self.stable == change.number else self.stable
        else:
            assert answer.status == 200, (change, answer)
            self.stable = change.number
        self._pending, self._was_cut_off = None, False
        self.done[change.kind] += 1

    def check(self, wire: Wire, *, all_: bool) -> None:
        """The package is what was acknowledged, and at most what has no answer yet besides."""
        answer = wire.ask("GET", f"/api/packages/{self.package}")
        if answer.status == 404:
            assert not self.versions
            return
        seen = check_package(wire, self.package) if all_ else _listed(answer)
        for number, known in self.versions.items():
            assert seen[number] in {known, self._after(known)}, (seen[number], self._pending)
        more = len(seen) - len(self.versions)
        assert more <= (self._pending is not None and self._pending.kind == "publish"), seen
        aliases = {each["name"]: each["version"] for each in answer.json["aliases"]}
        assert aliases.get("stable", 0) in self._stable_after(), (aliases, self._pending)
        if not all_:
            self._check_newest(wire, seen)

    def _after(self, known: Listed) -> Listed:
        pending = self._pending
        if pending is None or (pending.kind, pending.number) != ("tombstone", known.number):
            return known
        return Listed(known.number, known.content_hash, tombstoned=True)

    def _stable_after(self) -> set[int]:
        pending = self._pending
        if pending is None or pending.kind == "publish":
            return {self.stable}
        if pending.kind == "alias":
            return {self.stable, pending.number}
        return {self.stable, 0} if pending.number == self.stable else {self.stable}

    def _check_newest(self, wire: Wire, seen: Mapping[int, Listed]) -> None:
        for version in list(seen.values())[:NEWEST]:
            check_download(wire, self.package, version)


def _listed(answer: Answer) -> dict[int, Listed]:
    found = [
        Listed(each["version"], each["content_hash"], each["tombstoned"])
        for each in answer.json["versions"]
    ]
    assert [each.number for each in found] == list(range(len(found), 0, -1))
    return {each.number: each for each in found}


def check_download(wire: Wire, package: str, version: Listed) -> None:
    """The version comes down as its hash says, or is gone if it was tombstoned."""
    answer = wire.ask("GET", f"/api/packages/{package}/versions/{version.number}/download")
    if version.tombstoned:
        assert answer.status == 410, answer
        return
    assert answer.status == 200, answer
    assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == version.content_hash


@dataclass
class Keeper:
    """Issues keys and revokes them. A key works from the moment it is shown until it is revoked."""

    seed: int
    good: dict[str, str] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    _pending: str = ""

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.seed} keys")

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:
        """Issue and revoke until there is no hub any more."""
        try:
            with hub.wire() as wire:
                while True:
                    self._act(wire)
                    tell()
        except (OSError, ValueError):
            return

    def _act(self, wire: Wire) -> None:
        if self._pending or (self.good and self._dice.random() < 0.4):
            self._pending = self._pending or self._dice.choice(sorted(self.good))
            answer = wire.ask("DELETE", f"/api/keys/{self._pending}")
            if answer.status == BUSY:
                return
            assert answer.status == 204, answer
            self.dead.append(self.good.pop(self._pending))
            self._pending = ""
            self.done["revoke"] += 1
        else:
            answer = wire.ask_json("POST", "/api/keys", {"label": "hunt", "scopes": ["read"]})
            if answer.status == BUSY:
                return
            assert answer.status == 201, answer
            self.good[answer.json["prefix"]] = answer.json["key"]
            self.done["issue"] += 1

    def check(self, hub: HubProcess, *, all_: bool) -> None:
        """Keys that were shown are good, those that were revoked are not."""
        good = [(prefix, key) for prefix, key in self.good.items() if prefix != self._pending]
        few = slice(None) if all_ else slice(-NEWEST, None)
        for _, key in good[few]:
            assert _status_of(hub, key) == 200
        for key in self.dead[few]:
            assert _status_of(hub, key) == 401


def _status_of(hub: HubProcess, key: str) -> int:
    with Wire(hub.port, key) as wire:
        return wire.ask("GET", "/api/packages").status


class Reader:
    """Downloads what others have published: whole, or gone, and nothing else."""

    def __init__(self, packagers: list[Packager], seed: int) -> None:
        self._packagers, self._dice = packagers, random.Random(f"{seed} reader")
        self.done = Counter[str]()

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:  # noqa: ARG002
        """Download until there is no hub any more."""
        try:
            with hub.wire() as wire:
                while True:
                    self._download(wire)
        except (OSError, ValueError):
            return

    def _download(self, wire: Wire) -> None:
        packager = self._dice.choice(self._packagers)
        known = dict(packager.versions)
        if not known:
            wire.ask("GET", "/api/packages")
            return
        version = known[self._dice.choice(list(known))]
        path = f"/api/packages/{packager.package}/versions/{version.number}/download"
        answer = wire.ask("GET", path)
        assert answer.status in {200, 410}, answer
        if answer.status == 200:
            assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == version.content_hash
        self.done["download"] += 1
