"""Promise: two workers publish at least as fast as one, but for a tenth.

Eight clients publish small versions, each to a package of its own, first at a hub with two workers,
then at one with a single process, in every round; medians are compared. Rows are in PostgreSQL where
its programs are installed, else in SQLite, where one writer waits for the other whoever it is. The
same hubs are then asked for the details of a package, by clients in two processes, over eight
connections that are kept alive.

How much faster two are is shown, not promised: that depends on how many cores the clients, the
database and the disk leave. On a machine of two cores the clients of this benchmark alone keep one
of them busy.
"""

import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context

from bench_detail import requests_per_second
from support import Verdict, folder, take_turns

from tests.support.archives import package_zip
from tests.support.postgres import PostgreSQL, missing
from tests.support.process import HubProcess

PUBLISHERS = 8
EACH = 25
ASKERS = 2


@contextmanager
def databases() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """What keeps the rows, and the lines that say so to two hubs."""
    if missing():
        yield "SQLite", [{}, {}]
        return
    with PostgreSQL(fsync="on") as server:
        yield "PostgreSQL", [{"database": server.fresh()} for _ in range(2)]


class Publishing:
    """Publishes to packages that are new in every round."""

    def __init__(self) -> None:
        self._names = (f"package-{number}" for number in itertools.count())

    def rate(self, hub: HubProcess) -> float:
        """Publishes a second, of all clients together."""
        names = list(itertools.islice(self._names, PUBLISHERS))
        with ThreadPoolExecutor(PUBLISHERS) as pool:
            started = time.perf_counter()
            list(pool.map(lambda name: self._publish(hub, name), names))
            return PUBLISHERS * EACH / (time.perf_counter() - started)

    def _publish(self, hub: HubProcess, name: str) -> None:
        archive = package_zip(name, noise=os.urandom(10_000))
        with hub.wire() as wire:
            for _ in range(EACH):
                answer = wire.publish(name, archive)
                if answer.status != 201:
                    raise RuntimeError(answer)


def asking_rate(pool: ProcessPoolExecutor, hub: HubProcess) -> float:
    """Details a second, of all clients together."""
    with hub.wire() as wire:
        request = wire.head("GET", "/api/packages/widget")
    runs = [pool.submit(requests_per_second, hub.port, request, 4) for _ in range(ASKERS)]
    return sum(run.result() for run in runs)


def main() -> None:
    verdict = Verdict(f"two workers beside one, with {os.cpu_count()} cores for them and all else")
    with ExitStack() as stack:
        database, lines = stack.enter_context(databases())
        place = stack.enter_context(folder())
        two = stack.enter_context(HubProcess(place / "two", lines[0], workers=2))
        one = stack.enter_context(HubProcess(place / "one", lines[1]))
        publishing = Publishing()
        publishes = take_turns(
            {"two": lambda: publishing.rate(two), "one": lambda: publishing.rate(one)}, rounds=5
        )
        for hub in (two, one):
            with hub.wire() as wire:
                wire.publish("widget", package_zip("widget"))
        # A new interpreter each: to fork here would copy the threads of the publishers.
        pool = stack.enter_context(ProcessPoolExecutor(ASKERS, get_context("spawn")))
        details = take_turns(
            {"two": lambda: asking_rate(pool, two), "one": lambda: asking_rate(pool, one)}
        )
    verdict.show(f"two workers, {database}", publishes["two"], "publishes/s")
    verdict.show(f"one process, {database}", publishes["one"], "publishes/s")
    verdict.show("two workers", details["two"], "details/s")
    verdict.show("one process", details["one"], "details/s")
    verdict.show("details, two / one", details["two"] / details["one"], "")
    verdict.at_least("publishes, two / one", publishes["two"] / publishes["one"], 0.9)
    verdict.close()


if __name__ == "__main__":
    main()
