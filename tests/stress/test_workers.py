"""Workers and their masters are killed at random, under load. The hub goes on, and nothing is lost."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.process import HubProcess
from tests.support.publishers import Publishers, until

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("hangups_are_heard")]

WORKERS = 3


def kill_a_worker(hub: HubProcess, dice: random.Random) -> None:
    os.kill(dice.choice(hub.worker_pids), signal.SIGKILL)


def end_a_worker(hub: HubProcess, dice: random.Random) -> None:
    os.kill(dice.choice(hub.worker_pids), signal.SIGTERM)


def kill_all_workers(hub: HubProcess, _dice: random.Random) -> None:
    for pid in hub.worker_pids:
        os.kill(pid, signal.SIGKILL)


def replace_all(hub: HubProcess, _dice: random.Random) -> None:
    before = set(hub.worker_pids)
    os.kill(hub.pid, signal.SIGHUP)
    # One after the other, each once its requests are answered and the next is up.
    until(lambda: not before & set(hub.worker_pids), 240)


def kill_the_master(hub: HubProcess, _dice: random.Random) -> None:
    """Kill it, and start anew when orphaned workers have finished their requests and left the port."""
    hub.kill()
    end = time.monotonic() + 60
    while True:
        try:
            return hub.start()
        except RuntimeError as error:
            if "cannot listen" not in str(error) or time.monotonic() > end:
                raise


def restart(hub: HubProcess, _dice: random.Random) -> None:
    hub.stop()
    hub.start()


OFTEN = (kill_a_worker, end_a_worker)
RARE = (kill_all_workers, replace_all, kill_the_master, restart)


def test_what_was_acknowledged_survives_the_end_of_any_process(
    backend, tmp_path: Path, budget, tell
) -> None:
    dice, blows = random.Random(budget.seed), Counter[str]()
    hub = backend(tmp_path).process(tmp_path, workers=WORKERS)
    with hub:
        assert hub.key
        with Publishers(hub, "anvil", 6) as publishers:
            for _ in range(max(2, budget.kills // 10)):
                publishers.more(dice.randrange(1, 6))
                time.sleep(dice.uniform(0, 0.03))
                blow = dice.choice(OFTEN if dice.random() < 0.7 else RARE)
                blow(hub, dice)
                blows[blow.__name__] += 1
                until(lambda: len(hub.worker_pids) == WORKERS and hub.is_up(), 120)
        publishers.check()
        tell(f"{dict(blows)}; {publishers.count} acknowledged, {publishers.cut_off} cut off")
        assert hub.command("gc", "--grace", "0", "--dry-run")
