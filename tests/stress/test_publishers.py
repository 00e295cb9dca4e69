"""Many clients change the same packages at once. Every number is given once, and nobody sees a 5xx."""

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.stress.agreement import check_package
from tests.support.archives import package_zip
from tests.support.process import Answer, HubProcess, Wire

pytestmark = pytest.mark.stress

PUBLISHERS = 8
EACH = 25
ANVIL = "/api/packages/anvil"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path) as hub:
        yield hub


def publish_many(
    hub: HubProcess, name: str, publisher: int, tell: Callable[[int], None] = lambda _: None
) -> list[Answer]:
    """The answers to the publishes of one client; `tell` is called with each number."""
    answers = []
    with hub.wire() as wire:
        for number in range(EACH):
            answer = wire.publish(name, package_zip(name, readme=f"{publisher}/{number}\n"))
            answers.append(answer)
            if answer.status == 201:
                tell(answer.json["version"])
    return answers


def test_eight_publishers_of_one_package_get_all_numbers(running: HubProcess) -> None:
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        runs = list(pool.map(lambda n: publish_many(running, "anvil", n), range(PUBLISHERS)))
    answers = [answer for run in runs for answer in run]
    assert [each for each in answers if each.status != 201] == []
    for run in runs:
        numbers = [answer.json["version"] for answer in run]
        assert numbers == sorted(numbers)
    assert sorted(each.json["version"] for each in answers) == list(range(1, PUBLISHERS * EACH + 1))
    with running.wire() as wire:
        versions = check_package(wire, "anvil")
    for answer in answers:
        assert versions[answer.json["version"]].content_hash == answer.json["content_hash"]


class Crowd:
    """Clients that do something again and again until told to stop, and what they were answered.

    They go for the versions that were published last: `head` is the newest that is known.
    """

    def __init__(self, hub: HubProcess, seed: int) -> None:
        self._hub, self._seed = hub, seed
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.head = 1
        self.answers: Counter[tuple[str, int]] = Counter()
        self.strange: list[tuple[str, Answer]] = []
        self.failures: list[BaseException] = []

    def tell(self, number: int) -> None:
        """A version was published."""
        self.head = max(self.head, number)

    def add(self, act: "Act", pause: float, *fine: int) -> None:
        """One more client; `fine` are the statuses that its requests may be answered with."""
        dice = random.Random(self._seed + len(self._threads))

        def go() -> None:
            try:
                with self._hub.wire() as wire:
                    while not self._over.wait(dice.uniform(0, 2 * pause)):
                        number = dice.randrange(max(1, self.head - 12), self.head + 1)
                        answer = act(wire, number, dice.choice(["stable", "beta"]))
                        self.answers[act.__name__, answer.status] += 1
                        if answer.status not in fine:
                            self.strange.append((act.__name__, answer))
            except BaseException as error:  # noqa: BLE001 - shown by the test, in its own thread
                self.failures.append(error)

        self._threads.append(threading.Thread(target=go))

    def start(self) -> None:
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


Act = Callable[[Wire, int, str], Answer]


def tombstone(wire: Wire, number: int, alias: str) -> Answer:
    return wire.ask_json("DELETE", f"{ANVIL}/versions/{number}", {"reason": "a hunt"})


def move_alias(wire: Wire, number: int, alias: str) -> Answer:
    return wire.ask_json("PUT", f"{ANVIL}/aliases/{alias}", {"version": number})


def drop_alias(wire: Wire, number: int, alias: str) -> Answer:
    return wire.ask("DELETE", f"{ANVIL}/aliases/{alias}")


def cascade(wire: Wire, number: int, alias: str) -> Answer:
    return wire.ask_json("DELETE", ANVIL, {"reason": "all of it"})


def download(wire: Wire, number: int, alias: str) -> Answer:
    return whole(wire.ask("GET", f"{ANVIL}/versions/{number}/download"))


def download_latest(wire: Wire, number: int, alias: str) -> Answer:
    answer = whole(wire.ask("GET", f"{ANVIL}/latest"))
    if answer.status == 404:
        assert answer.json == {"detail": "no published versions"}
    return answer


def whole(answer: Answer) -> Answer:
    if answer.status == 200:
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
    return answer


def read_listing(wire: Wire, number: int, alias: str) -> Answer:
    return wire.ask("GET", "/api/packages")


def read_history(wire: Wire, number: int, alias: str) -> Answer:
    return wire.ask("GET", f"{ANVIL}/versions/{number}/history")


def test_publishers_among_tombstones_aliases_and_cascades(
    running: HubProcess, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with running.wire() as wire:
        assert wire.publish("anvil", package_zip("anvil")).status == 201
    crowd = Crowd(running, seed)
    crowd.add(tombstone, 0.03, 200, 410)
    crowd.add(tombstone, 0.03, 200, 410)
    crowd.add(move_alias, 0.01, 200, 409)
    crowd.add(drop_alias, 0.03, 204, 404)
    crowd.add(cascade, 1, 204)
    crowd.add(download, 0.005, 200, 410)
    crowd.add(download, 0.005, 200, 410)
    crowd.add(download_latest, 0.005, 200, 404)
    crowd.add(download_latest, 0.005, 200, 404)
    crowd.add(read_listing, 0.02, 200)
    crowd.add(read_history, 0.02, 200)
    crowd.start()
    try:
        with ThreadPoolExecutor(PUBLISHERS) as pool:
            runs = pool.map(
                lambda n: publish_many(running, "anvil", n, crowd.tell), range(PUBLISHERS)
            )
            answers = [answer for run in runs for answer in run]
    finally:
        crowd.stop()
    told = ", ".join(f"{act} {status}: {n}" for (act, status), n in sorted(crowd.answers.items()))
    with capsys.disabled():
        print(f"{told}")
    assert crowd.failures == []
    assert crowd.strange == []
    assert [each for each in answers if each.status != 201] == []
    numbers = sorted(each.json["version"] for each in answers)
    assert numbers == list(range(2, PUBLISHERS * EACH + 2))
    with running.wire() as wire:
        versions = check_package(wire, "anvil")
    for answer in answers:
        assert versions[answer.json["version"]].content_hash == answer.json["content_hash"]
    live = {each.content_hash for each in versions.values() if not each.tombstoned}
    files = [each for each in running.blobs.rglob("*") if each.is_file()]
    assert {f"sha256:{each.parent.name}{each.name}" for each in files} == live


def test_a_tombstone_never_looks_like_damage_to_those_who_download(running: HubProcess) -> None:
    """The row may be read before the tombstone, and the bytes looked for after it."""
    numbers, over = [1], threading.Event()

    def download_on() -> list[Answer]:
        answers = []
        with running.wire() as wire:
            while not over.is_set():
                answers += [download(wire, numbers[-1], ""), download_latest(wire, 0, "")]
        return answers

    with running.wire() as wire, ThreadPoolExecutor(6) as pool:
        assert wire.publish("anvil", package_zip("anvil")).status == 201
        readers = [pool.submit(download_on) for _ in range(6)]
        try:
            for _ in range(200):
                numbers.append(wire.publish("anvil", package_zip("anvil")).json["version"])
                assert tombstone(wire, numbers[-1], "").status == 200
        finally:
            over.set()
        answers = [answer for reader in readers for answer in reader.result()]
    assert [each for each in answers if each.status not in {200, 410}] == []
