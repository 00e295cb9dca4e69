"""Promise: 100 publishes over a live site of 400 files: no reader sees an error, a gap or a mixture.

Every file of the site says of which generation it is in its first line, and the rest of it depends on
that. Eight readers, each one request after the other, visit files A, B, and A again, drawn by lot,
while the next generation is published as soon as the last one is acknowledged. They take gzip
and plain bytes by turns, and every second time ask for the second A only if it has changed.

A mixture is any of these:

- a body that is not, byte for byte, its file as it was in one generation;
- an older generation than this reader has seen before. So where both A are of one generation, B
  is of that generation too: the three are one site, as in a browser that loads a page;
- an older generation than the one whose publish had been acknowledged before the request was sent.

A gap is a 404; an error is any other answer than 200 or 304, or a connection that breaks.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from support import Verdict, folder

from tests.stress.site import CODINGS, NotWhole, Site, visit
from tests.support.process import HubProcess, Wire

SITE = Site("docs/guide", files=390, large=10)
REPUBLISHES = 100
READERS = 8


@dataclass
class Readers:
    """What the readers have seen together, and how far the publisher is."""

    hub: HubProcess
    acknowledged: int = 1
    over: threading.Event = field(default_factory=threading.Event)
    seen: Counter[str] = field(default_factory=Counter)
    generations: set[int] = field(default_factory=set)
    strange: list[object] = field(default_factory=list)

    def read_on(self, seed: int) -> None:
        """One reader, until the last publish is done."""
        dice, counter, generations = random.Random(seed), Counter[str](), set[int]()
        while not self.over.is_set():
            try:
                with self.hub.wire() as wire:
                    reader = Reader(self, wire, dice, counter, generations)
                    while not self.over.is_set():
                        reader.visit_thrice()
            except (OSError, ValueError) as error:
                counter["errors"] += 1
                self.strange.append(error)
        self.seen += counter
        self.generations |= generations


class Seen(NamedTuple):
    """A file as a reader has it."""

    generation: int
    tag: str


@dataclass
class Reader:
    """What a reader asks over its connection, and the newest generation that it has seen."""

    all: Readers
    wire: Wire
    dice: random.Random
    counter: Counter[str]
    generations: set[int]
    newest: int = 0
    turn: int = 0

    def visit_thrice(self) -> None:
        """A, B, A."""
        self.turn += 1
        coding = CODINGS[self.turn % 2]
        one, other = self.dice.choices(SITE.names, k=2)
        first = self.see(one, coding)
        self.see(other, coding)
        self.see(one, coding, first if self.turn % 4 > 1 else None)

    def see(self, name: str, headers: Mapping[str, str], known: Seen | None = None) -> Seen | None:
        """Visit a file, perhaps only if it is not as it is `known`, and judge what comes."""
        at_least = max(self.newest, self.all.acknowledged)
        self.counter["requests"] += 1
        condition = {"If-None-Match": known.tag} if known else {}
        try:
            answer = visit(self.wire, f"/pages/acme/{SITE.path}/{name}", {**headers, **condition})
            if answer.status == 200:
                known = Seen(SITE.generation(name, answer.body), answer.headers["etag"])
        except NotWhole as error:
            self.note("mixtures", error)
            return None
        if known is None or answer.status not in {200, 304}:
            self.note("gaps" if answer.status == 404 else "errors", answer)
            return None
        if known.generation < at_least:
            self.note("mixtures", (name, answer.status, known.generation, at_least))
        self.counter["unchanged"] += answer.status == 304
        self.generations.add(known.generation)
        self.newest = known.generation
        return known

    def note(self, what: str, why: object) -> None:
        """Something that must not be."""
        self.counter[what] += 1
        self.all.strange.append(why)


def republish(wire: Wire, readers: Readers) -> float:
    """Publish one generation after the other; seconds."""
    started = time.perf_counter()
    for generation in range(2, REPUBLISHES + 2):
        answer = wire.publish_page(SITE.archive(generation), path=SITE.path)
        if answer.status != 201:
            raise RuntimeError(answer)
        readers.acknowledged = generation
    return time.perf_counter() - started


def main() -> None:
    verdict = Verdict("100 publishes over a live site of 400 files, under eight readers")
    with folder() as place, HubProcess(place) as hub, hub.wire() as wire:
        assert wire.publish_page(SITE.archive(1), path=SITE.path).status == 201
        readers = Readers(hub)
        threads = [threading.Thread(target=readers.read_on, args=(n,)) for n in range(READERS)]
        for each in threads:
            each.start()
        try:
            seconds = republish(wire, readers)
        finally:
            readers.over.set()
            for each in threads:
                each.join()
    for why in readers.strange[:5]:
        print(f"  {why!r:.300}")
    verdict.show("republishes", REPUBLISHES / seconds, "1/s")
    verdict.show("requests", readers.seen["requests"], "")
    verdict.show("requests", readers.seen["requests"] / seconds, "1/s")
    verdict.show("of them answered with 304", readers.seen["unchanged"], "")
    verdict.show("generations that were seen", len(readers.generations), "")
    for what in ("errors", "gaps", "mixtures"):
        verdict.at_most(what, readers.seen[what], 0)
    busy = readers.seen["requests"] > READERS * REPUBLISHES
    verdict.holds("the readers read all the while", kept=busy and len(readers.generations) > 90)
    verdict.close()


if __name__ == "__main__":
    main()
