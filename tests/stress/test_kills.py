"""The hub is killed again and again while clients do everything at once. Nothing acknowledged is lost.

KILLS in all, half of them with a disk and SQLite, half with S3 and PostgreSQL; sometimes with two workers.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.stress.checks import kinds
from tests.stress.clients import (
    KEEP,
    Access,
    Crowd,
    Keeper,
    Owner,
    Packager,
    Reader,
    Uploader,
    page_events,
)
from tests.stress.site import Site
from tests.support.process import HubProcess

pytestmark = pytest.mark.stress

SEVERAL = 0.2
SITES = (Site("docs"), Site("blog/2026", files=3, large=0), Site("blog/2027", files=3))


class Ledger:
    """All clients, and what each was acknowledged."""

    def __init__(self, seed: int) -> None:
        self.access = Access()
        self.owners = [Owner(site, self.access, seed) for site in SITES]
        packagers = [Packager(name, self.access, seed) for name in ("anvil", "bellows")]
        uploaders = [Uploader(name, self.access, seed) for name in ("engine", "bolt")]
        self.changers = [*self.owners, *packagers, *uploaders]
        self.keepers = [Keeper(self.access, seed, of_tokens=each) for each in (True, False)]
        self.readers = [Reader(each, self.access, seed) for each in (packagers, uploaders)]

    def crowd(self, hub: HubProcess) -> tuple[Crowd, threading.Semaphore]:
        """Start all clients. The semaphore counts their answers."""
        crowd, answered = Crowd(), threading.Semaphore(0)
        for each in (*self.changers, *self.keepers, *self.readers):
            crowd.add(each.go_on, hub, answered.release)
        return crowd, answered

    def check(self, hub: HubProcess, *, all_: bool = False) -> None:
        """Check that everything is as acknowledged, or as a step without an answer makes it."""
        self.access.make(hub)
        with hub.wire() as wire:
            pages = {each["path"] for each in wire.ask("GET", "/api/pages").json}
        for each in (*self.changers, *self.keepers):
            each.check(hub, all_=all_)
        assert pages == {each.name for each in self.owners if each.state.live}

    @property
    def done(self) -> Counter[str]:
        """How often which step was acknowledged."""
        clients = (*self.changers, *self.keepers, *self.readers)
        return sum((each.done for each in clients), Counter())


def kill_all(hub: HubProcess) -> None:
    """Kill the master first: it would replace workers that are gone."""
    workers = hub.worker_pids if hub.workers > 1 else []
    hub.kill()
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_kills_lose_nothing(backend, tmp_path: Path, budget, tell) -> None:
    kills = budget.kills if budget.is_sample else budget.kills // 2
    dice, ledger = random.Random(budget.seed), Ledger(budget.seed)
    settings = {"pages.keep_publications": str(KEEP)}
    hub = backend(tmp_path).process(tmp_path, settings)
    try:
        for _ in range(kills):
            # Two workers take longer to start.
            hub.workers = 2 if dice.random() < SEVERAL else 1
            hub.start()
            ledger.check(hub)
            crowd, answered = ledger.crowd(hub)
            for _ in range(dice.randrange(24)):
                answered.acquire(timeout=5)
            # No client pauses, so the hub is in the middle of something.
            time.sleep(dice.uniform(0, 0.05))
            kill_all(hub)
            crowd.join()
        hub.workers = 1
        hub.start()
        ledger.check(hub, all_=True)
        left = kinds(hub, "--deep")
        hub.command("gc", "--grace", "0")
        assert not kinds(hub, "--deep")
        ledger.check(hub, all_=True)
        events = Counter(page_events(hub))
    finally:
        hub.stop()
    tell(f"{kills} kills during {dict(ledger.done)}; left behind: {left}")
    assert left <= {"unknown"}
    assert events == sum((each.events for each in ledger.owners), Counter())
    assert "ERROR" not in hub.log.read_text()
