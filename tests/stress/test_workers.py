"""Workers and their masters are killed at random, under load. The hub goes on, and nothing is lost."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.process import HubProcess
from tests.support.publishers import Publishers, until

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("hangups_are_heard")]

WORKERS = 3
BLOWS = 20

# The second one with bytes on S3.
DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    if request.param == "sqlite":
        return {"database": f"sqlite:///{tmp_path}/hub.sqlite"}
    server = request.getfixturevalue("s3")
    return {
        "database": request.getfixturevalue("postgresql").fresh(),
        "blobs": server.url(server.new_bucket()),
    }


def kill_a_worker(hub: HubProcess, dice: random.Random) -> None:
    os.kill(dice.choice(hub.worker_pids), signal.SIGKILL)


def kill_all_workers(hub: HubProcess, dice: random.Random) -> None:
    for pid in hub.worker_pids:
        os.kill(pid, signal.SIGKILL)


def end_a_worker(hub: HubProcess, dice: random.Random) -> None:
    os.kill(dice.choice(hub.worker_pids), signal.SIGTERM)


def replace_all(hub: HubProcess, dice: random.Random) -> None:
    before = set(hub.worker_pids)
    os.kill(hub.pid, signal.SIGHUP)
    # One after the other, each once its requests are answered and the next is up; others keep the machine busy.
    until(lambda: not before & set(hub.worker_pids), 240)


def kill_the_master(hub: HubProcess, dice: random.Random) -> None:
    hub.kill()
    _start_when_free(hub)


def restart(hub: HubProcess, dice: random.Random) -> None:
    hub.stop()
    hub.start()


def _start_when_free(hub: HubProcess) -> None:
    """Workers that were orphaned finish what they have begun before they leave the port."""
    end = time.monotonic() + 15
    while True:
        try:
            return hub.start()
        except RuntimeError as error:
            if "cannot listen" not in str(error) or time.monotonic() > end:
                raise


Blow = Callable[[HubProcess, random.Random], None]
RARE: tuple[Blow, ...] = (kill_all_workers, replace_all, kill_the_master, restart)


def test_whoever_is_killed_what_was_acknowledged_is_there(
    settings: Mapping[str, str], tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice, blows = random.Random(seed), Counter[str]()
    with HubProcess(tmp_path, settings, workers=WORKERS) as hub:
        assert hub.key
        with Publishers(hub, "anvil", 6) as publishers:
            for number in range(BLOWS):
                publishers.more(dice.randrange(1, 6))
                time.sleep(dice.uniform(0, 0.03))
                often = dice.choice([kill_a_worker, end_a_worker])
                blow = RARE[number // 4 % len(RARE)] if number % 4 == 3 else often
                blow(hub, dice)
                blows[blow.__name__] += 1
                until(lambda: len(hub.worker_pids) == WORKERS and hub.is_up(), 120)
        publishers.check()
        told = ", ".join(f"{name} {count}" for name, count in blows.items())
        with capsys.disabled():
            print(f"{told}; {publishers.count} acknowledged, {publishers.cut_off} cut off")
        assert hub.command("gc", "--grace", "0", "--dry-run")
