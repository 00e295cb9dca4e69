"""Clients that publish without a pause, whatever happens to the hub, and know what they were told."""

import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Self

from tests.stress.agreement import check_package
from tests.support.archives import package_zip
from tests.support.process import Answer, HubProcess, Wire


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that happens by itself."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.02)


class Publishers:
    """They publish while the `with` block runs, each to a package of its own.

    What they were acknowledged is in `acknowledged`: hashes, by package and version. Who is cut off
    tries the same once more, with the same key, unless it is not to try `again`.
    """

    def __init__(self, hub: HubProcess, name: str, count: int = 4, *, again: bool = True) -> None:
        self._hub, self._again = hub, again
        self._names = [f"{name}-{number}" for number in range(count)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(each,)) for each in self._names]
        self.acknowledged: dict[str, dict[int, str]] = {each: {} for each in self._names}
        self.strange: list[Answer] = []
        self.cut_off = self.busy = 0

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def join(self) -> None:
        """Wait until they have ended."""
        for each in self._threads:
            each.join()

    @property
    def count(self) -> int:
        """How many publishes were acknowledged."""
        return sum(map(len, self.acknowledged.values()))

    def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        goal = self.count + count
        until(lambda: self.count >= goal, 60)

    def _go(self, name: str) -> None:
        jobs = (
            (package_zip(name, noise=os.urandom(20_000)), f"{name}-{number}")
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

    def _publish(self, wire: Wire, name: str, archive: bytes, key: str) -> bool:
        """Whether that was answered for good; else the hub was busy, and is asked the same again."""
        answer = wire.publish(name, archive, headers={"Idempotency-Key": key})
        if answer.status == 503 and "retry-after" in answer.headers:
            self.busy += 1
            return False
        if answer.status == 201:
            self.acknowledged[name][answer.json["version"]] = answer.json["content_hash"]
        else:
            self.strange.append(answer)
        return True

    def check(self, hub: HubProcess | None = None) -> None:
        """What was acknowledged is there, once; of the rest, at most what each was about to hear."""
        assert self.strange == []
        # On a machine that is busy with something else writers wait for one another, now and then too long.
        assert self.busy <= max(2, self.count / 20)
        with (hub or self._hub).wire() as wire:
            for name, hashes in self.acknowledged.items():
                versions = check_package(wire, name)
                assert {number: versions[number].content_hash for number in hashes} == hashes
                assert len(versions) - len(hashes) in {0, 1}
