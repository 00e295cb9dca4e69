"""Clients that publish without a pause, whatever happens to the hub, and know what was acknowledged."""

import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from tests.stress.agreement import check_package
from tests.support.archives import package_zip
from tests.support.process import Answer, HubProcess, Wire


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


class Publishers:
    """Clients that publish while the `with` block runs, each to a package of its own.

    `acknowledged` has hashes, by package and version. A client that was cut off tries the same once more,
    with the same key, unless it is not to try `again`.
    """

    def __init__(self, hub: HubProcess, name: str, count: int = 4, *, again: bool = True) -> None:
        self._hub, self._again, self._over = hub, again, threading.Event()
        self.acknowledged = {f"{name}-{n}": dict[int, str]() for n in range(count)}
        self._pool = ThreadPoolExecutor(count)
        self.strange: list[Answer] = []
        self.cut_off = 0

    def __enter__(self) -> Self:
        self._done = [self._pool.submit(self._go, each) for each in self.acknowledged]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def join(self) -> None:
        for each in self._done:
            each.result()

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        goal = self.count + count
        until(lambda: self.count >= goal)

    def _go(self, name: str) -> None:
        jobs = (
            (package_zip(name, noise=os.urandom(20_000)), {"Idempotency-Key": f"{name}-{number}"})
            for number in itertools.count()
        )
        job = next(jobs)
        while not self._over.is_set():
            try:
                with self._hub.wire() as wire:
                    while not self._over.is_set():
                        if self._publish(wire, name, *job):
                            job = next(jobs)
            except OSError:
                self.cut_off += 1
                if not self._again:
                    return
                time.sleep(0.01)

    def _publish(self, wire: Wire, name: str, archive: bytes, headers: dict[str, str]) -> bool:
        """Return False if the hub was busy and is to be asked again."""
        answer = wire.publish(name, archive, headers=headers)
        if answer.status == 503 and "retry-after" in answer.headers:
            return False
        if answer.status == 201:
            self.acknowledged[name][answer.json["version"]] = answer.json["content_hash"]
        else:
            self.strange.append(answer)
        return True

    def check(self, hub: HubProcess | None = None) -> None:
        """Check that what was acknowledged is there once, and at most one unanswered publish each."""
        assert self.strange == []
        with (hub or self._hub).wire() as wire:
            for name, hashes in self.acknowledged.items():
                versions = check_package(wire, name)
                assert {number: versions[number].content_hash for number in hashes} == hashes
                assert len(versions) - len(hashes) in {0, 1}
