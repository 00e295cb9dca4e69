"""Many clients change the same packages, or the same pages, at once. Nobody sees a gap, a half or a 5xx."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stress.agreement import check_package
from tests.stress.clients import KEEP, Crowd, page_events, roll_back
from tests.stress.site import CODINGS, NotWhole, Site, overlaps, visit
from tests.stress.states import checksum
from tests.support.archives import package_zip
from tests.support.process import Answer, HubProcess, Wire

pytestmark = pytest.mark.stress

ANVIL, REASON = "/api/packages/anvil", {"reason": "a race"}
RACING = tuple(Site(path) for path in ("a", "a/b", "a/b/c", "ab"))
STEADY = Site("steady", files=30, large=2)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path, {"pages.keep_publications": str(KEEP)}) as hub:
        yield hub


class Race:
    """Clients that act again and again until the time is over, each on a connection of its own."""

    def __init__(self, hub: HubProcess, budget) -> None:
        self.hub, self.seed, self.is_over = hub, budget.seed, budget.is_over()
        self.crowd, self.lock = Crowd(), threading.Lock()
        self.answers: Counter[tuple[str, int]] = Counter()

    def add(self, count: int, act: Callable[[Wire, random.Random], Answer], *fine: int) -> None:
        """Start so many clients; `fine` are the statuses of their answers."""
        for number in range(count):
            dice = random.Random(f"{self.seed} {act.__name__} {number}")
            self.crowd.add(self.run, act, dice, fine)

    def run(self, act, dice: random.Random, fine: tuple[int, ...]) -> None:
        with self.hub.wire() as wire:
            while not self.is_over():
                answer = act(wire, dice)
                assert answer.status in fine, (act.__name__, answer)
                with self.lock:
                    self.answers[act.__name__, answer.status] += 1


class PackageRace(Race):
    """Acts on one package. They go for the versions that were published last."""

    def __init__(self, hub: HubProcess, budget) -> None:
        super().__init__(hub, budget)
        self.hashes: dict[int, str] = {}

    def number(self, dice: random.Random) -> int:
        head = max(self.hashes)
        return dice.randint(max(1, head - 12), head)

    def publish(self, wire: Wire, dice: random.Random) -> Answer:
        """Publish, and tombstone the new version now and then: others may be about to read its bytes."""
        answer = wire.publish("anvil", package_zip("anvil", readme=f"{dice.random()}\n"))
        if answer.status == 201:
            number = answer.json["version"]
            assert number not in self.hashes
            self.hashes[number] = answer.json["content_hash"]
            if dice.random() < 0.2:
                path = f"{ANVIL}/versions/{number}"
                assert wire.ask_json("DELETE", path, REASON).status in {200, 410}
        return answer

    def tombstone(self, wire: Wire, dice: random.Random) -> Answer:
        return wire.ask_json("DELETE", f"{ANVIL}/versions/{self.number(dice)}", REASON)

    def change_alias(self, wire: Wire, dice: random.Random) -> Answer:
        path = f"{ANVIL}/aliases/{dice.choice(['stable', 'beta'])}"
        if dice.random() < 0.3:
            return wire.ask("DELETE", path)
        return wire.ask_json("PUT", path, {"version": self.number(dice)})

    def list_and_cascade(self, wire: Wire, dice: random.Random) -> Answer:
        if dice.random() < 0.05:
            return wire.ask_json("DELETE", ANVIL, REASON)
        return wire.ask("GET", "/api/packages")

    def download(self, wire: Wire, dice: random.Random) -> Answer:
        kind = dice.choice(["/download", "/history"])
        return wire.ask("GET", f"{ANVIL}/versions/{self.number(dice)}{kind}")

    def download_latest(self, wire: Wire, _dice: random.Random) -> Answer:
        answer = wire.ask("GET", f"{ANVIL}/latest")
        assert answer.status != 404 or answer.json == {"detail": "no published versions"}
        assert answer.status != 200 or answer.headers["etag"] == f'"{checksum(answer.body)[7:]}"'
        return answer


def test_every_number_is_given_once_among_tombstones_aliases_and_cascades(
    running: HubProcess, budget
) -> None:
    race = PackageRace(running, budget)
    with running.wire() as wire:
        assert race.publish(wire, random.Random()).status == 201
    race.add(6, race.publish, 201)
    race.add(1, race.tombstone, 200, 410)
    race.add(1, race.change_alias, 200, 204, 404, 409)
    race.add(1, race.list_and_cascade, 200, 204)
    race.add(3, race.download, 200, 410)
    race.add(2, race.download_latest, 200, 404)
    race.crowd.join()
    print(dict(race.answers))
    with running.wire() as wire:
        versions = check_package(wire, "anvil")
    assert {number: each.content_hash for number, each in versions.items()} == race.hashes
    live = {each.content_hash for each in versions.values() if not each.tombstoned}
    files = [each for each in running.blobs.rglob("*") if each.is_file()]
    assert {f"sha256:{each.parent.name}{each.name}" for each in files} == live
    assert "ERROR" not in running.log.read_text()


class PageRace(Race):
    """Acts on a few pages, some of which lie above others, and on one that is always there."""

    def __init__(self, hub: HubProcess, budget) -> None:
        super().__init__(hub, budget)
        self.generations, self.acknowledged = itertools.count(1), 0

    def publish(self, wire: Wire, dice: random.Random) -> Answer:
        site = dice.choice(RACING)
        archive = site.archive(next(self.generations))
        return self.checked(wire.publish_page(archive, path=site.path), site)

    def roll_back(self, wire: Wire, dice: random.Random) -> Answer:
        site = dice.choice(RACING)
        kept = wire.ask("GET", f"/api/pages/{site.path}/publications")
        if kept.status == 404:
            return kept
        number = dice.choice(kept.json)["publication"]
        return self.checked(roll_back(wire, site.path, number, {}), site)

    @staticmethod
    def checked(answer: Answer, site: Site) -> Answer:
        if answer.status == 409:
            other = answer.json["detail"].removeprefix("path overlaps published page ").strip("'")
            assert overlaps([other, site.path]), answer
        return answer

    def unpublish(self, wire: Wire, dice: random.Random) -> Answer:
        return wire.ask("DELETE", f"/api/pages/{dice.choice(RACING).path}")

    def list_pages(self, wire: Wire, _dice: random.Random) -> Answer:
        answer = wire.ask("GET", "/api/pages")
        assert overlaps([each["path"] for each in answer.json]) == []
        return answer

    def read(self, wire: Wire, dice: random.Random) -> Answer:
        """Read a file where pages come and go: whichever is there, it is whole."""
        site = dice.choice(RACING)
        name = dice.choice(site.names)
        answer = visit(wire, f"/pages/acme/{site.path}/{name}", dice.choice(CODINGS))
        if answer.status == 200:
            path, its_name = answer.body.partition(b"\n")[0].decode().split()[1:]
            assert f"{path}/{its_name}" == f"{site.path}/{name}"
            Site(path).generation(its_name, answer.body)
        return answer

    def republish(self, wire: Wire, _dice: random.Random) -> Answer:
        generation = self.acknowledged + 1
        answer = wire.publish_page(STEADY.archive(generation), path=STEADY.path)
        self.acknowledged = generation
        return answer

    def read_steady(self, wire: Wire, dice: random.Random) -> Answer:
        """Read several files in one visit: each is as new as the one before, or newer."""
        newest = self.acknowledged
        for name in dice.choices(STEADY.names, k=10):
            newest = max(newest, self.acknowledged)
            answer = visit(wire, f"/pages/acme/{STEADY.path}/{name}", dice.choice(CODINGS))
            assert answer.status == 200, answer
            generation = STEADY.generation(name, answer.body)
            if generation < newest:
                raise NotWhole(name, generation, newest)
            newest = generation
        return answer


def test_no_two_pages_overlap_whoever_races(running: HubProcess, budget) -> None:
    race = PageRace(running, budget)
    with running.wire() as wire:
        assert race.republish(wire, random.Random()).status == 201
    race.add(4, race.publish, 201, 409)
    race.add(1, race.roll_back, 200, 404, 409)
    race.add(2, race.unpublish, 204, 404)
    race.add(1, race.list_pages, 200)
    race.add(2, race.read, 200, 404)
    race.add(1, race.republish, 201)
    race.add(2, race.read_steady, 200)
    race.crowd.join()
    print(dict(race.answers))
    with running.wire() as wire:
        listed = {each["path"] for each in wire.ask("GET", "/api/pages").json}
    # At no moment did two pages overlap, nor was one unpublished twice.
    live: set[str] = set()
    for act, path in page_events(running):
        if act == "unpublish":
            live.remove(path)
        else:
            live.add(path)
            assert overlaps(live) == []
    assert live == listed
    assert "ERROR" not in running.log.read_text()
