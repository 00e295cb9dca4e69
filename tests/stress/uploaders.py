"""Clients that change products and tokens, and remember what they were told of each."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hubrepo.kernel.blobs.services import BlobLeaving
from tests.stress.ledgers import BUSY, NEWEST
from tests.support.process import Answer, HubProcess
from tests.support.uploads import TokenWire, first_admin

FLAGS = ("maintainer", "download", "upload", "delete")
# What a hub says of bytes whose removal was begun; for two minutes if that process is dead.
LEAVING = BlobLeaving.message.encode()
# Some contents come again and again, at several products: what one lets go of another puts.
SHARED = tuple(f"shared {number}\n".encode() * 5000 for number in range(3))
IDENTIFIERS = tuple(f"v{number}" for number in range(8))

Flags = frozenset[str]


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Tokens:
    """An admin's token and that of somebody who is granted things; made once, for all clients."""

    def __init__(self) -> None:
        self.admin = self.holder = ""

    def make(self, hub: HubProcess) -> None:
        """See to it that they are there."""
        self.admin = self.admin or first_admin(hub)
        if not self.holder:
            with self.wire(hub) as wire:
                self.holder = wire.register()

    def wire(self, hub: HubProcess) -> TokenWire:
        """A connection of the admin's."""
        return TokenWire(hub.port, self.admin)

    @property
    def holder_digest(self) -> str:
        """The public name of the holder's token."""
        return hashlib.sha256(self.holder.encode()).hexdigest()


@dataclass(frozen=True)
class Step:
    """What is to be done with a product."""

    kind: str
    version: str = ""
    content: bytes = b""
    flags: Flags = frozenset()


@dataclass(frozen=True)
class Shelf:
    """A product: its versions' checksums, and what the holder may do there; None: no product, no grant."""

    versions: Mapping[str, str] | None = None
    flags: Flags | None = None

    def after(self, step: Step) -> "Shelf":
        """What a step makes of it."""
        versions = dict(self.versions or {})
        match step.kind:
            case "create":
                return Shelf({})
            case "remove":
                return Shelf()
            case "grant":
                return replace(self, flags=step.flags)
            case "revoke":
                return replace(self, flags=None)
            case "upload":
                return replace(self, versions={**versions, step.version: checksum(step.content)})
        del versions[step.version]
        return replace(self, versions=versions)


def shelf_of(fetched: Answer, holder: str) -> Shelf:
    """What a hub shows of a product; `holder` is a digest."""
    if fetched.status == 404:
        return Shelf()
    assert fetched.status == 200, fetched
    flags = fetched.json["tokens"].get(holder)
    return Shelf(
        {name: each["checksum"] for name, each in fetched.json["versions"].items()},
        None if flags is None else frozenset(name for name, value in flags.items() if value),
    )


# What a hub answers to a step that it does, and to one that it did before the client was cut off.
DONE = {
    "create": (201, 409),
    "remove": (204, 404),
    "grant": (201, 201),
    "revoke": (204, 404),
    "upload": (201, 409),
    "withdraw": (204, 404),
}


class Uploader:
    """The only client that changes a product: one step after the other, each tried until acknowledged."""

    def __init__(self, product: str, tokens: Tokens, seed: int) -> None:
        self.product, self._tokens = product, tokens
        self._dice = random.Random(f"{seed} {product}")
        self.shelf, self.done = Shelf(), Counter[str]()
        self.sent: dict[str, set[str]] = {}
        self.refused = 0
        self._pending: Step | None = None
        self._was_done, self._is_unsure = False, False

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:
        """Change the product until there is no hub any more."""
        try:
            with self._tokens.wire(hub) as wire:
                while True:
                    self._pending = self._pending or self._next()
                    answer = self._do(wire, self._pending)
                    if answer.status == BUSY:
                        self._give_way(answer)
                        continue
                    self._acknowledge(self._pending, answer)
                    tell()
        except (OSError, ValueError):
            return

    def _give_way(self, answer: Answer) -> None:
        """Try again, unless nothing was done and nothing can be for long: a killed process was removing it."""
        self.refused += 1
        if LEAVING in answer.body and not (self._was_done or self._is_unsure):
            self._pending = None
        else:
            self._is_unsure = True

    def _next(self) -> Step:
        versions, wish = self.shelf.versions, self._dice.random()
        if versions is None:
            return Step("create")
        if wish < 0.04:
            return Step("remove")
        if wish < 0.15:
            return Step("grant", flags=frozenset(f for f in FLAGS if self._dice.random() < 0.5))
        if wish < 0.2 and self.shelf.flags is not None:
            return Step("revoke")
        free = [each for each in IDENTIFIERS if each not in versions]
        if versions and (wish < 0.45 or not free):
            return Step("withdraw", self._dice.choice(sorted(versions)))
        noise = self._dice.randbytes(self._dice.randrange(300_000))
        content = self._dice.choice((*SHARED, noise, noise, noise))
        return Step("upload", self._dice.choice(free), content)

    def _do(self, wire: TokenWire, step: Step) -> Answer:
        product, below = self.product, "/product/modify"
        token = {"product": product, "token": self._tokens.holder_digest}
        match step.kind:
            case "create":
                return wire.create(product)
            case "remove":
                return wire.ask("DELETE", f"/product/delete/{product}")
            case "grant":
                flags = dict.fromkeys(sorted(step.flags), True)
                return wire.send("PUT", f"{below}/addToken", {**token, "permissions": flags})
            case "revoke":
                return wire.send("DELETE", f"{below}/deleteToken", token)
            case "upload":
                self.sent.setdefault(step.version, set()).add(checksum(step.content))
                return wire.upload(product, step.version, step.content)
        return wire.ask("DELETE", f"/product/delete/{product}/{step.version}")

    def _acknowledge(self, step: Step, answer: Answer) -> None:
        """What was done before the client was cut off is not done twice."""
        fine = set(DONE[step.kind]) if self._is_unsure else {DONE[step.kind][self._was_done]}
        assert answer.status in fine, (self.product, step.kind, step.version, answer)
        if step.kind == "upload" and answer.status == 201:
            assert answer.json["checksum"] == checksum(step.content)
        self.shelf = self.shelf.after(step)
        self._pending, self._was_done, self._is_unsure = None, False, False
        self.done[step.kind] += 1

    def check(self, hub: HubProcess, *, all_: bool) -> None:
        """The product is what was acknowledged, or what the step that has no answer makes of it."""
        with self._tokens.wire(hub) as wire, TokenWire(hub.port, self._tokens.holder) as holder:
            answer = wire.ask("GET", f"/product/fetch/{self.product}")
            seen = shelf_of(answer, self._tokens.holder_digest)
            after = self.shelf.after(self._pending) if self._pending else self.shelf
            assert seen in (self.shelf, after), (self.product, seen, self.shelf, self._pending)
            # No process is left that could still do it.
            self._was_done, self._is_unsure = seen != self.shelf, False
            known = sorted((seen.versions or {}).items())
            for version, expected in known if all_ else known[-NEWEST:]:
                assert wire.checksum(self.product, version) == expected
            for version in set(IDENTIFIERS) - set(seen.versions or {}):
                assert wire.download(self.product, version).status == 404
            self._check_holder(holder, seen)

    def _check_holder(self, holder: TokenWire, seen: Shelf) -> None:
        """Who was granted something can do that, and nothing else."""
        listed = holder.ask("GET", "/product/access").json
        assert (self.product in listed) == (seen.flags is not None)
        for version in sorted(seen.versions or {})[:1]:
            fine = 200 if "download" in (seen.flags or ()) else 403
            assert holder.download(self.product, version).status == fine


@dataclass
class Registrar:
    """Registers tokens and prunes them. A token works from the moment it is shown until it is pruned."""

    tokens: Tokens
    seed: int
    good: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    _pending: str = ""

    def __post_init__(self) -> None:
        self._dice = random.Random(f"{self.seed} tokens")

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:
        """Register and prune until there is no hub any more."""
        try:
            with self.tokens.wire(hub) as wire:
                while True:
                    self._act(wire)
                    tell()
        except (OSError, ValueError):
            return

    def _act(self, wire: TokenWire) -> None:
        if not self._pending and (not self.good or self._dice.random() < 0.6):
            answer = wire.send("PUT", "/register", {})
            if answer.status == BUSY:
                return
            assert answer.status == 201, answer
            self.good.append(answer.body.decode())
            self.done["register"] += 1
            return
        is_retry, self._pending = bool(self._pending), self._pending or self._dice.choice(self.good)
        digest = hashlib.sha256(self._pending.encode()).hexdigest()
        answer = wire.ask("DELETE", f"/prune/{digest}")
        if answer.status == BUSY:
            return
        assert answer.status in ({204, 404} if is_retry else {204}), answer
        self.good.remove(self._pending)
        self.dead.append(self._pending)
        self._pending = ""
        self.done["prune"] += 1

    def check(self, hub: HubProcess, *, all_: bool) -> None:
        """Tokens that were shown are good, those that were pruned are not."""
        few = slice(None) if all_ else slice(-NEWEST, None)
        for token in [each for each in self.good if each != self._pending][few]:
            assert _status_of(hub, token) == 200
        for token in self.dead[few]:
            assert _status_of(hub, token) == 401


def _status_of(hub: HubProcess, token: str) -> int:
    with TokenWire(hub.port, token) as wire:
        return wire.ask("GET", "/product/access").status


class Downloader:
    """Downloads what others upload: whole, or gone, and nothing else."""

    def __init__(self, uploaders: list[Uploader], tokens: Tokens, seed: int) -> None:
        self._uploaders, self._tokens = uploaders, tokens
        self._dice = random.Random(f"{seed} downloader")
        self.done = Counter[str]()

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:  # noqa: ARG002
        """Download until there is no hub any more."""
        try:
            with self._tokens.wire(hub) as wire:
                while True:
                    self._download(wire)
        except (OSError, ValueError):
            return

    def _download(self, wire: TokenWire) -> None:
        uploader = self._dice.choice(self._uploaders)
        version = self._dice.choice(sorted(uploader.shelf.versions or IDENTIFIERS))
        answer = wire.download(uploader.product, version)
        assert answer.status in {200, 404}, answer
        if answer.status == 200:
            assert answer.headers["x-checksum-sha256"] == checksum(answer.body)[7:]
            assert checksum(answer.body) in uploader.sent[version]
            self.done["fetch"] += 1
