"""Pages under kills, and under many who publish at once. Nobody may ever see half a site, or two."""

import itertools
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Answer, HubProcess, Wire
from tests.torture.site import (
    CODINGS,
    NotWhole,
    Site,
    check_gone,
    check_site,
    overlap,
    overlaps,
    visit,
)

pytestmark = pytest.mark.torture

OWNED = (Site("docs"), Site("blog/2026"), Site("blog/2027"), Site("app"))
KEEP = 3
KILLS = 12

RACING = tuple(Site(path) for path in ("a", "a/b", "a/b/c", "ab"))
STEADY = Site("steady", files=30, large=2)
SECONDS = 15

_EVENT = re.compile(r"^\S+ +done +pages:(?P<act>publish|roll-back|unpublish) +page:(?P<path>\S+) ")


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    seed = int(os.environ.get("TORTURE_SEED", time.time_ns() % 1_000_000))
    with capsys.disabled():
        print(f"\nseed {seed}")
    return seed


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
        self._pending: Act | None = None
        self._was_done = False

    def go_on(self, hub: HubProcess, tell: Callable[[], None]) -> None:
        """Act until there is no hub any more."""
        try:
            with hub.wire() as wire:
                while True:
                    is_retry = self._pending is not None
                    self._pending = self._pending or self._next(wire)
                    answer = self._do(wire, self._pending)
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
        if act.kind == "unpublish":
            assert answer.status == (404 if self._was_done else 204), (act, answer)
        else:
            assert answer.status == (201 if act.kind == "publish" else 200), (act, answer)
            replayed = "idempotent-replayed" in answer.headers
            assert replayed == self._was_done, (act, answer)
        self.state = self.state.after(act)
        self._pending, self._was_done = None, False
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
        state = self.state
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


def check_owned(hub: HubProcess, owners: list[Owner]) -> set[str]:
    """All pages are what they must be, and there are no others; the hashes of all that is kept."""
    with hub.wire() as wire:
        listed = {each["path"]: each for each in wire.ask("GET", "/api/pages").json}
        assert set(listed) <= {each.site.path for each in owners}
        return set().union(*(each.check(wire, listed) for each in owners))


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
        assert self.failures == []


def test_a_kill_leaves_every_page_one_whole_generation(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice, owners = random.Random(seed), [Owner(site, seed) for site in OWNED]
    hub = HubProcess(tmp_path, {"pages.keep_publications": str(KEEP)})
    try:
        for _ in range(KILLS):
            hub.start()
            check_owned(hub, owners)
            crowd, done = Crowd(), threading.Semaphore(0)
            for owner in owners:
                crowd.add(owner.go_on, hub, done.release)
            for _ in range(dice.randrange(12)):
                done.acquire(timeout=5)
            # The owners do not pause, so the hub is in the middle of something.
            time.sleep(dice.uniform(0, 0.03))
            hub.kill()
            crowd.join()
        hub.start()
        kept = check_owned(hub, owners)
        events = Counter(events_of(hub))
        left = leftovers(hub, kept)
        hub.command("gc", "--grace", "0")
        assert set(blobs_of(hub)) == kept
        assert check_owned(hub, owners) == kept
    finally:
        hub.stop()
    acts = sum((owner.done for owner in owners), Counter())
    with capsys.disabled():
        print(f"{KILLS} kills during {dict(acts)}; left behind: {left}")
    assert acts["publish"] > KILLS
    assert events == sum((owner.events for owner in owners), Counter())


def blobs_of(hub: HubProcess) -> list[str]:
    """The digests of the bytes in the store."""
    files = [each for each in hub.blobs.rglob("*") if each.is_file()]
    return [each.parent.name + each.name for each in files if each.parent.name != ".stage"]


def leftovers(hub: HubProcess, kept: set[str]) -> str:
    """What no publication refers to. It wastes room until it is swept, and harms nobody."""
    blobs = blobs_of(hub)
    assert kept <= set(blobs)
    stages = len(list((hub.blobs / ".stage").iterdir()))
    return f"{len(blobs) - len(kept)} blobs, {stages} stages"


class Race:
    """Clients that change and read the same few pages, again and again, until the time is over."""

    def __init__(self, hub: HubProcess, seed: int) -> None:
        self._hub, self._seed = hub, seed
        self._until = time.monotonic() + SECONDS
        self._generations = itertools.count(1)
        self._numbers, self._lock = itertools.count(), threading.Lock()
        self.acknowledged = 0
        self.answers: Counter[tuple[str, int]] = Counter()

    def run(self, act: Callable[[Wire, random.Random], Iterator[Answer]], *fine: int) -> None:
        """One client; `fine` are the statuses that its requests may be answered with."""
        dice = random.Random(f"{self._seed} {next(self._numbers)}")
        answers = Counter[tuple[str, int]]()
        with self._hub.wire() as wire:
            while time.monotonic() < self._until:
                for answer in act(wire, dice):
                    answers[act.__name__, answer.status] += 1
                    assert answer.status in fine, (act.__name__, answer)
        with self._lock:
            self.answers += answers

    def publish(self, wire: Wire, dice: random.Random) -> Iterator[Answer]:
        site, generation = dice.choice(RACING), next(self._generations)
        answer = wire.publish_page(site.archive(generation), path=site.path)
        yield self._checked(answer, site)

    def roll_back(self, wire: Wire, dice: random.Random) -> Iterator[Answer]:
        site = dice.choice(RACING)
        if kept := publications(wire, site.path):
            answer = roll_back(wire, site.path, dice.choice(kept)["publication"])
            yield self._checked(answer, site)

    @staticmethod
    def _checked(answer: Answer, site: Site) -> Answer:
        if answer.status == 409:
            other = answer.json["detail"].removeprefix("path overlaps published page ").strip("'")
            assert overlap(other, site.path), answer
        return answer

    def unpublish(self, wire: Wire, dice: random.Random) -> Iterator[Answer]:
        yield wire.ask("DELETE", f"/api/pages/{dice.choice(RACING).path}")

    def list_pages(self, wire: Wire, _dice: random.Random) -> Iterator[Answer]:
        answer = wire.ask("GET", "/api/pages")
        assert overlaps([each["path"] for each in answer.json]) == []
        yield answer

    def read(self, wire: Wire, dice: random.Random) -> Iterator[Answer]:
        """Where pages come and go: whichever is there, its file is whole."""
        site = dice.choice(RACING)
        name = dice.choice(site.names)
        answer = visit(wire, f"/pages/acme/{site.path}/{name}", dice.choice(CODINGS))
        if answer.status == 200:
            path, its_name = answer.body.partition(b"\n")[0].decode().split()[1:]
            assert f"{path}/{its_name}" == f"{site.path}/{name}"
            Site(path).generation(its_name, answer.body)
        yield answer

    def republish(self, wire: Wire, _dice: random.Random) -> Iterator[Answer]:
        generation = self.acknowledged + 1
        yield wire.publish_page(STEADY.archive(generation), path=STEADY.path)
        self.acknowledged = generation

    def read_steady(self, wire: Wire, dice: random.Random) -> Iterator[Answer]:
        """One visit of several files: each as new as the one before, or newer."""
        newest = self.acknowledged
        for name in dice.choices(STEADY.names, k=10):
            newest = max(newest, self.acknowledged)
            answer = visit(wire, f"/pages/acme/{STEADY.path}/{name}", dice.choice(CODINGS))
            yield answer
            generation = STEADY.generation(name, answer.body)
            if generation < newest:
                raise NotWhole(name, generation, newest)
            newest = generation


def test_no_two_pages_overlap_whoever_races(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with HubProcess(tmp_path, {"pages.keep_publications": str(KEEP)}) as hub:
        race, crowd = Race(hub, seed), Crowd()
        with hub.wire() as wire:
            assert [each.status for each in race.republish(wire, random.Random())] == [201]
        for _ in range(4):
            crowd.add(race.run, race.publish, 201, 409)
        crowd.add(race.run, race.roll_back, 200, 404, 409)
        crowd.add(race.run, race.unpublish, 204, 404)
        crowd.add(race.run, race.unpublish, 204, 404)
        crowd.add(race.run, race.list_pages, 200)
        crowd.add(race.run, race.read, 200, 404)
        crowd.add(race.run, race.read, 200, 404)
        crowd.add(race.run, race.republish, 201)
        crowd.add(race.run, race.read_steady, 200)
        crowd.add(race.run, race.read_steady, 200)
        crowd.join()
        with hub.wire() as wire:
            listed = {each["path"]: each for each in wire.ask("GET", "/api/pages").json}
        live = replay(events_of(hub))
        log = hub.log.read_text()
    told = ", ".join(f"{act} {status}: {n}" for (act, status), n in sorted(race.answers.items()))
    with capsys.disabled():
        print(told)
    assert live == set(listed)
    assert "ERROR" not in log
    assert min(race.answers["publish", status] for status in (201, 409)) > 20


def replay(events: list[tuple[str, str]]) -> set[str]:
    """What is live in the end. At no moment did two pages overlap, nor was one taken down twice."""
    live: set[str] = set()
    for act, path in events:
        if act == "unpublish":
            live.remove(path)
        else:
            live.add(path)
            assert overlaps(live) == []
    return live
