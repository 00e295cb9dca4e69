"""Promise: eight publishers of one package get the numbers 1 to 200, and nobody an error.

Eight clients publish 25 versions each of the same package, at once, as fast as they are answered.
Then every version is downloaded: its hash must be the listed one, and the history inside it must
list all versions before it, with their hashes. Beside it one client publishes as many versions of
another package alone. Both have their turn in every round, each time with new packages; medians are
shown. How much slower a crowd may be than one client is not promised: publishes of a package have
to wait for each other.
"""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from support import Verdict, folder, take_turns

from tests.stress.agreement import check_package
from tests.support.archives import package_zip
from tests.support.process import HubProcess

PUBLISHERS = 8
EACH = 25
ALL = PUBLISHERS * EACH


def publish(hub: HubProcess, name: str, times: int) -> list[int]:
    """The numbers that one client gets; 0 for what is refused."""
    archive = package_zip(name)
    with hub.wire() as wire:
        answers = [wire.publish(name, archive) for _ in range(times)]
    return [answer.json["version"] if answer.status == 201 else 0 for answer in answers]


class Rounds:
    """What both sides do, and whether the numbers and archives of every round were right."""

    def __init__(self, hub: HubProcess) -> None:
        self._hub = hub
        self._names = (f"package-{number}" for number in itertools.count())
        self.numbers_are_right = self.archives_agree = True

    def rate(self, publishers: int) -> float:
        """Publishes a second."""
        name, times = next(self._names), ALL // publishers
        with ThreadPoolExecutor(publishers) as pool:
            started = time.perf_counter()
            runs = list(pool.map(lambda _: publish(self._hub, name, times), range(publishers)))
            seconds = time.perf_counter() - started
        self._judge(name, [number for run in runs for number in run])
        return ALL / seconds

    def _judge(self, name: str, numbers: list[int]) -> None:
        self.numbers_are_right &= sorted(numbers) == list(range(1, ALL + 1))
        try:
            with self._hub.wire() as wire:
                check_package(wire, name)
        except AssertionError as error:
            print(f"  {name}: {error}")
            self.archives_agree = False


def main() -> None:
    verdict = Verdict("eight publishers of one package at once, beside one alone")
    with folder() as place, HubProcess(place) as hub:
        rounds = Rounds(hub)
        rates = take_turns(
            {"eight": lambda: rounds.rate(PUBLISHERS), "one": lambda: rounds.rate(1)}, rounds=3
        )
    verdict.show("eight publishers", rates["eight"], "publishes/s")
    verdict.show("one publisher", rates["one"], "publishes/s")
    verdict.show("eight / one", rates["eight"] / rates["one"], "")
    verdict.holds("the numbers are 1 to 200, without an error", kept=rounds.numbers_are_right)
    verdict.holds("archives, histories and listing agree", kept=rounds.archives_agree)
    verdict.close()


if __name__ == "__main__":
    main()
