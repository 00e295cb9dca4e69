"""Processes of a hub are killed while clients do everything at once. Nothing acknowledged is lost.

The hub is killed KILLS times in all, half of them with a disk and SQLite, half with S3 and PostgreSQL. With
two workers, one or all of them end before, and the hub goes on.
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

from tests.stress.clients import KEEP, Ledger, kinds_found, page_events
from tests.support.process import HubProcess
from tests.support.publishers import until

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("hangups_are_heard")]

SEVERAL, WORKERS = 0.4, 2


def end_workers(hub: HubProcess, dice: random.Random) -> None:
    """End one worker or all, or let the master replace them, and wait until the hub is complete again."""
    before = hub.worker_pids
    ended = dice.choice((before, before[:1], before[:1], []))
    for pid in ended:
        os.kill(pid, dice.choice((signal.SIGKILL, signal.SIGTERM)))
    if not ended:
        os.kill(hub.pid, signal.SIGHUP)
    gone = set(ended or before)
    until(lambda: len(hub.worker_pids) == WORKERS and not gone & set(hub.worker_pids), 240)
    until(hub.is_up, 240)


def is_gone(pid: int) -> bool:
    """True if a process has ended, be it that nobody has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def end(hub: HubProcess, dice: random.Random) -> None:
    """Kill the hub, its master first; orphaned workers now and then end by themselves."""
    workers = hub.worker_pids if hub.workers > 1 else []
    hub.kill()
    if dice.random() < 0.7:
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    until(lambda: all(map(is_gone, workers)), 240)


def test_kills_lose_nothing(backend, tmp_path: Path, budget) -> None:
    kills = budget.kills if budget.is_sample else budget.kills // 2
    dice, ledger = random.Random(budget.seed), Ledger(budget.seed)
    settings = {"pages.keep_publications": str(KEEP)}
    hub = backend(tmp_path).process(tmp_path, settings)
    try:
        for _ in range(kills):
            # Two workers take longer to start.
            hub.workers = WORKERS if dice.random() < SEVERAL else 1
            hub.start()
            ledger.check(hub)
            answered = threading.Semaphore(0)
            crowd = ledger.crowd(hub, answered.release)
            for _ in range(dice.randrange(24)):
                answered.acquire(timeout=5)
            if hub.workers > 1 and dice.random() < 0.7:
                end_workers(hub, dice)
            # No client pauses, so the hub is in the middle of something.
            time.sleep(dice.uniform(0, 0.05))
            end(hub, dice)
            crowd.join()
        hub.workers = 1
        hub.start()
        ledger.check(hub, all_=True)
        left = kinds_found(hub)
        hub.command("gc", "--grace", "0")
        assert not kinds_found(hub)
        ledger.check(hub, all_=True)
        events = Counter(page_events(hub))
    finally:
        hub.stop()
    print(f"{kills} kills during {ledger.done}; left behind: {left}")
    assert left <= {"unknown"}
    assert events == ledger.events
    assert "ERROR" not in hub.log.read_text()
