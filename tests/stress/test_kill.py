"""The hub is killed again and again while clients publish. What it acknowledged must be there."""

import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.stress.agreement import Listed, check_package
from tests.support.archives import package_zip
from tests.support.process import HubProcess

pytestmark = pytest.mark.stress

PACKAGES = ("anvil", "bellows", "crucible")
PUBLISHES = 25
PUBLISHERS = 4
KILLS = 7


@dataclass
class Job:
    """A publish that is tried until it is acknowledged. Its key tells the hub that it is the same."""

    number: int
    package: str
    archive: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {"Idempotency-Key": f"job-{self.number}"}


@dataclass
class Acknowledged:
    """What the hub has answered 201 to: (package, version, hash) by job."""

    by_job: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, job: Job, version: int, content_hash: str) -> None:
        with self.changed:
            self.by_job[job.number] = (job.package, version, content_hash)
            self.changed.notify_all()

    def wait_for(self, count: int, seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(lambda: len(self.by_job) >= count, seconds)


def publish_until_killed(
    hub: HubProcess, jobs: deque[Job], acknowledged: Acknowledged, errors: list[object]
) -> None:
    """Take jobs and publish them, until there is no hub any more; what is not acknowledged goes back."""
    while True:
        try:
            job = jobs.popleft()
        except IndexError:
            return
        try:
            with hub.wire() as wire:
                answer = wire.publish(job.package, job.archive, headers=job.headers)
        except (OSError, ValueError):
            jobs.append(job)
            return
        if answer.status != 201:
            errors.append(answer)
            return
        acknowledged.add(job, answer.json["version"], answer.json["content_hash"])


def check_everything(
    hub: HubProcess, acknowledged: Acknowledged
) -> Mapping[str, Mapping[int, Listed]]:
    with hub.wire() as wire:
        names = [each["name"] for each in wire.ask("GET", "/api/packages").json]
        assert set(names) <= set(PACKAGES)
        seen = {name: check_package(wire, name) for name in names}
    for package, version, content_hash in acknowledged.by_job.values():
        assert seen[package][version].content_hash == content_hash
    return seen


def test_what_was_acknowledged_survives_kills(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(seed)
    jobs = deque(new_job(dice, number) for number in range(PUBLISHES))
    acknowledged, errors, kills = Acknowledged(), [], 0
    hub = HubProcess(tmp_path)
    try:
        while jobs:
            hub.start()
            check_everything(hub, acknowledged)
            publishers = [
                threading.Thread(
                    target=publish_until_killed, args=(hub, jobs, acknowledged, errors)
                )
                for _ in range(PUBLISHERS)
            ]
            for each in publishers:
                each.start()
            # The publishers do not pause, so the hub is in the middle of something.
            acknowledged.wait_for(len(acknowledged.by_job) + dice.randrange(4), 5)
            time.sleep(dice.uniform(0, 0.03))
            hub.kill()
            kills += 1
            for each in publishers:
                each.join()
            assert errors == []
        hub.start()
        seen = check_everything(hub, acknowledged)
    finally:
        hub.stop()
    found = [each for versions in seen.values() for each in versions.values()]
    left = leftovers(hub, {each.content_hash.removeprefix("sha256:") for each in found})
    with capsys.disabled():
        print(f"{kills} kills during {PUBLISHES} publishes; left behind: {left}")
    assert kills >= KILLS
    # A retry finds what the lost answer was about, so nothing is there twice.
    assert len(found) == len(acknowledged.by_job) == PUBLISHES


def new_job(dice: random.Random, number: int) -> Job:
    """Of any size up to a MiB: some are spooled to disk on their way in, some are not."""
    package, noise = dice.choice(PACKAGES), dice.randbytes(dice.randrange(1_000_000))
    return Job(number, package, package_zip(package, readme=f"job {number}\n", noise=noise))


def leftovers(hub: HubProcess, digests: set[str]) -> str:
    """What no version refers to. It wastes room until it is swept, and harms nobody."""
    files = [each for each in hub.blobs.rglob("*") if each.is_file()]
    stages = [each for each in files if each.parent.name == ".stage"]
    blobs = [each for each in files if each.parent.name != ".stage"]
    orphans = [each for each in blobs if each.parent.name + each.name not in digests]
    assert len(blobs) - len(orphans) == len(digests)
    return f"{len(orphans)} blobs, {len(stages)} stages"
