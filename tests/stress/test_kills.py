"""The hub is killed again and again while clients do everything at once. Nothing acknowledged is lost.

Half of the kills with a disk and SQLite, half with S3 and PostgreSQL; sometimes there are two workers. Two
hundred in all: `KILLS=100 pytest -m stress tests/stress/test_kills.py`.
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

from tests.stress.backends import Backend
from tests.stress.checks import kinds
from tests.stress.ledgers import Keeper, Packager, Reader
from tests.stress.owners import KEEP, Crowd, Owner
from tests.stress.site import Site
from tests.stress.uploaders import Downloader, Registrar, Tokens, Uploader
from tests.support.process import HubProcess

pytestmark = pytest.mark.stress

KILLS = int(os.environ.get("KILLS", "25"))
SEVERAL = 0.2
SITES = (Site("docs", files=3), Site("blog/2026", files=3, large=0))
PACKAGES = ("anvil", "bellows")
PRODUCTS = ("engine", "bolt")


class Ledger:
    """All clients, and what each knows of what it was told."""

    def __init__(self, seed: int) -> None:
        self.owners = [Owner(site, seed) for site in SITES]
        self.packagers = [Packager(name, seed) for name in PACKAGES]
        self.keeper = Keeper(seed)
        self._reader = Reader(self.packagers, seed)
        self.tokens = Tokens()
        self.uploaders = [Uploader(name, self.tokens, seed) for name in PRODUCTS]
        self.registrar = Registrar(self.tokens, seed)
        self._downloader = Downloader(self.uploaders, self.tokens, seed)

    def crowd(self, hub: HubProcess) -> tuple[Crowd, threading.Semaphore]:
        """All at work, and what counts the answers that they get."""
        crowd, answered = Crowd(), threading.Semaphore(0)
        keepers, readers = (self.keeper, self.registrar), (self._reader, self._downloader)
        for each in (*self.owners, *self.packagers, *self.uploaders, *keepers, *readers):
            crowd.add(each.go_on, hub, answered.release)
        return crowd, answered

    def check(self, hub: HubProcess, *, all_: bool = False) -> None:
        """Everything is what somebody was told, or what somebody was about to be told."""
        with hub.wire() as wire:
            listed = {each["path"]: each for each in wire.ask("GET", "/api/pages").json}
            assert set(listed) <= {each.site.path for each in self.owners}
            for owner in self.owners:
                owner.check(wire, listed)
            for packager in self.packagers:
                packager.check(wire, all_=all_)
        self.tokens.make(hub)
        for each in (self.keeper, self.registrar, *self.uploaders):
            each.check(hub, all_=all_)

    def done(self) -> dict[str, int]:
        """How often what was acknowledged."""
        counts = Counter[str]()
        for packager in self.packagers:
            counts += packager.done
        for owner in self.owners:
            counts += Counter({f"page {kind}": count for kind, count in owner.done.items()})
        for uploader in self.uploaders:
            counts += Counter({f"product {kind}": count for kind, count in uploader.done.items()})
        for each in (self.keeper, self.registrar, self._reader, self._downloader):
            counts += each.done
        return dict(counts)

    @property
    def busy(self) -> int:
        """How often the hub was too busy for those who change packages, pages and products."""
        return sum(each.refused for each in (*self.packagers, *self.owners, *self.uploaders))


def kill_all(hub: HubProcess) -> None:
    """The master first, or it would put new workers in the place of those that are gone."""
    workers = hub.worker_pids if hub.workers > 1 else []
    hub.kill()
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_kills_lose_nothing(
    backend: Backend, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice, ledger, started = random.Random(seed), Ledger(seed), time.monotonic()
    settings = {"pages.keep_publications": str(KEEP)}
    hub = backend.place(tmp_path).process(tmp_path, settings=settings)
    try:
        for _ in range(KILLS):
            # Two take longer to start.
            hub.workers = 2 if dice.random() < SEVERAL else 1
            hub.start()
            ledger.check(hub)
            crowd, answered = ledger.crowd(hub)
            for _ in range(dice.randrange(24)):
                answered.acquire(timeout=5)
            # Nobody pauses, so the hub is in the middle of something.
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
    finally:
        hub.stop()
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"{KILLS} kills in {seconds:.0f} s during {ledger.done()}; left behind: {dict(left)}")
        print(f"the hub was too busy {ledger.busy} times")
    assert left.keys() <= {"unknown"}
    assert "ERROR" not in hub.log.read_text()
    assert ledger.busy <= KILLS
    often = ("publish", "page publish", "issue", "product upload", "product withdraw", "register")
    assert {kind for kind in often if ledger.done().get(kind, 0) <= KILLS / 20} == set(), (
        ledger.done()
    )
