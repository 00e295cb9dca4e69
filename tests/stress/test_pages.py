"""Pages under kills, and under many who publish at once. Nobody may ever see half a site, or two."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.blobs.sweeping import LEAVING_LASTS
from hubrepo.kernel.db import Database
from tests.stress.owners import KEEP, Crowd, Owner, events_of, publications, roll_back
from tests.stress.site import CODINGS, NotWhole, Site, overlap, overlaps, visit
from tests.support.process import Answer, HubProcess, Wire

pytestmark = pytest.mark.stress

OWNED = (Site("docs"), Site("blog/2026"), Site("blog/2027"), Site("app"))
KILLS = 12

RACING = tuple(Site(path) for path in ("a", "a/b", "a/b/c", "ab"))
STEADY = Site("steady", files=30, large=2)
SECONDS = 15


def check_owned(hub: HubProcess, owners: list[Owner]) -> set[str]:
    """All pages are what they must be, and there are no others; the hashes of all that is kept."""
    with hub.wire() as wire:
        listed = {each["path"]: each for each in wire.ask("GET", "/api/pages").json}
        assert set(listed) <= {each.site.path for each in owners}
        return set().union(*(each.check(wire, listed) for each in owners))


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
        let_two_minutes_pass(hub)
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


def let_two_minutes_pass(hub: HubProcess) -> None:
    """For a mark that bytes are being removed: whoever was killed before it had removed them left it there."""
    long_ago = now() - 2 * LEAVING_LASTS
    database = Database(hub.database_url)
    with database.write() as db:
        db.execute(update(Blob).where(Blob.leaving_at.is_not(None)).values(leaving_at=long_ago))
    database.close()


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
