"""Owners of pages, each of which knows at every moment what its page must be; and crowds of clients."""

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.stress.ledgers import BUSY
from tests.stress.site import Site, check_gone, check_site
from tests.support.process import Answer, HubProcess, Wire

# The past publications that a hub of theirs keeps of each page.
KEEP = 3

_EVENT = re.compile(r"^\S+ +done +pages:(?P<act>publish|roll-back|unpublish) +page:(?P<path>\S+) ")


def publications(wire: Wire, path: str) -> list[dict[str, Any]]:
    """What is kept of a page; nothing where it never was."""
    answer = wire.ask("GET", f"/api/pages/{path}/publications")
    assert answer.status in {200, 404}, answer
    return answer.json if answer.status == 200 else []


def roll_back(
    wire: Wire, path: str, number: int, headers: Mapping[str, str] | None = None
) -> Answer:
    body, json_ = b'{"publication":%d}' % number, {"Content-Type": "application/json"}
    return wire.ask("POST", f"/api/pages/{path}/rollback", body, json_ | dict(headers or {}))


def events_of(hub: HubProcess) -> list[tuple[str, str]]:
    """What was done with pages, and with which, in its order, as the operator is told."""
    lines = hub.command("show-log", "--org", "acme", "--limit", "10000").splitlines()
    assert len(lines) < 10_000
    found = (_EVENT.match(f"{line} ") for line in reversed(lines))
    return [(each["act"], each["path"]) for each in found if each is not None]


@dataclass(frozen=True)
class Act:
    """What is to be done with a page. Its key tells the hub, if it is tried again, that it is the same."""

    kind: str
    key: str
    number: int = 0
    generation: int = 0


@dataclass(frozen=True)
class State:
    """The number that is live, 0 where none is, and the generations of all numbers."""

    live: int = 0
    generations: Mapping[int, int] = field(default_factory=dict)

    def after(self, act: Act) -> "State":
        if act.kind != "publish":
            return State(act.number, self.generations)
        head = len(self.generations) + 1
        return State(head, {**self.generations, head: act.generation})


class Owner:
    """The only client that changes a page: one act after the other, each tried until acknowledged.

    So what the page must be is known at every moment: what the last act made of it, or while an act
    has no answer, what that one would make of it, and nothing in between.
    """

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self._dice = site, random.Random(f"{seed} {site.path}")
        self.state, self.done = State(), Counter[str]()
        self.refused = 0
        self._pending: Act | None = None
        self._was_done, self._is_unsure = False, False

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:
        """Act until there is no hub any more."""
        try:
            with hub.wire() as wire:
                while True:
                    is_retry = self._pending is not None
                    self._pending = self._pending or self._next(wire)
                    answer = self._do(wire, self._pending)
                    if answer.status == BUSY:
                        self.refused += 1
                        self._is_unsure = True
                        continue
                    if is_retry and self._was_let_go(wire, self._pending, answer):
                        self._pending = None
                        continue
                    self._acknowledge(self._pending, answer)
                    tell()
        except (OSError, ValueError):
            return

    def _was_let_go(self, wire: Wire, act: Act, answer: Answer) -> bool:
        """Whether the start has let go of what was to be rolled back to: one more than are kept."""
        if act.kind != "roll-back" or answer.status != 404 or self._was_done:
            return False
        return act.number not in {
            each["publication"] for each in publications(wire, self.site.path)
        }

    def _next(self, wire: Wire) -> Act:
        count = sum(self.done.values()) + 1
        key = f"{self.site.path}-{count}"
        live, wish = self.state.live, self._dice.random()
        kept = [each["publication"] for each in publications(wire, self.site.path)]
        others = [number for number in kept if number != live]
        if live and wish < 0.15:
            return Act("unpublish", key)
        if others and wish < 0.4:
            return Act("roll-back", key, self._dice.choice(others))
        return Act("publish", key, generation=count)

    def _do(self, wire: Wire, act: Act) -> Answer:
        path, key = self.site.path, {"Idempotency-Key": act.key}
        if act.kind == "unpublish":
            return wire.ask("DELETE", f"/api/pages/{path}")
        if act.kind == "roll-back":
            return roll_back(wire, path, act.number, key)
        return wire.publish_page(self.site.archive(act.generation), headers=key, path=path)

    def _acknowledge(self, act: Act, answer: Answer) -> None:
        """An act that was done before the hub was killed is not done twice."""
        if self._is_unsure:
            is_gone = act.kind == "unpublish" and answer.status == 404
            self._was_done = is_gone or "idempotent-replayed" in answer.headers
        if act.kind == "unpublish":
            assert answer.status == (404 if self._was_done else 204), (act, answer)
        else:
            assert answer.status == (201 if act.kind == "publish" else 200), (act, answer)
            replayed = "idempotent-replayed" in answer.headers
            assert replayed == self._was_done, (act, answer)
        self.state = self.state.after(act)
        self._pending, self._was_done, self._is_unsure = None, False, False
        self.done[act.kind] += 1
        if self.state.live:
            assert answer.json["publication"] == self.state.live
            assert answer.json["content_hash"] == self._hash_of(self.state.live)

    @property
    def events(self) -> Counter[tuple[str, str]]:
        """What the log must tell of the page: also what was done without a word, once."""
        acts = self.done + Counter([self._pending.kind] if self._was_done and self._pending else [])
        return Counter({(kind, self.site.path): count for kind, count in acts.items()})

    def _hash_of(self, number: int) -> str:
        return self.site.content_hash(self.state.generations[number])

    def check(self, wire: Wire, listed: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """The page is what it must be, whole; the hashes of what is kept of it."""
        page = listed.get(self.site.path)
        live = page["publication"] if page is not None else 0
        state, self._is_unsure = self.state, False
        if self._pending is not None and live != state.live:
            # No two states that follow one another have the same publication live.
            self._was_done, state = True, state.after(self._pending)
        assert live == state.live, (self.site, page, state, self._pending)
        shown = wire.ask("GET", f"/api/pages/{self.site.path}")
        if page is None:
            assert shown.status == 404
            check_gone(wire, self.site)
        else:
            generation = state.generations[live]
            assert shown.json == page
            assert page["content_hash"] == self.site.content_hash(generation)
            check_site(wire, self.site, generation)
        return self._check_kept(wire, state)

    def _check_kept(self, wire: Wire, state: State) -> set[str]:
        kept = publications(wire, self.site.path)
        # What a kill or an unpublish left beyond that, the start has let go of.
        most = KEEP + bool(state.live)
        assert min(len(state.generations), KEEP) <= len(kept) <= most, (kept, state)
        for each in kept:
            generation = state.generations[each["publication"]]
            assert each["content_hash"] == self.site.content_hash(generation)
            assert each["live"] == (each["publication"] == state.live)
        return {each["content_hash"] for each in kept}


class Crowd:
    """Threads of clients; what went wrong in any of them is told to the test."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def add(self, act: Callable[..., None], *arguments: object) -> None:
        def go() -> None:
            try:
                act(*arguments)
            except BaseException as error:  # noqa: BLE001 - shown by the test, in its own thread
                self.failures.append(error)

        self._threads.append(threading.Thread(target=go))
        self._threads[-1].start()

    def join(self) -> None:
        for each in self._threads:
            each.join()
        if self.failures:
            raise BaseExceptionGroup("clients met what must never be", self.failures)
