"""Promise: rolling back and unpublishing take no longer for 5,000 files than for 10.

A page of 10 files and one of 5,000, each published twice, in one hub. Each is rolled back to its
other publication, unpublished, and rolled back from nothing to what it was: one request each, over
one connection, page after page in every round, in many rounds, for each ends in a write to the disk
that takes as long as the disk likes. Medians are compared; none of the three may take 1.3 times as
long for the large page as for the small one.
"""

import itertools
import time
from collections.abc import Callable, Iterator

from support import MIB, Verdict, folder, take_turns

from tests.support.archives import make_zip
from tests.support.process import HubProcess, Wire

FEW, MANY = 10, 5_000
ROUNDS = 200
SETTINGS = {"uploads.max_size": str(64 * MIB)}


class Page:
    """A page of that many files, with two publications. Each act takes milliseconds."""

    def __init__(self, wire: Wire, files: int) -> None:
        self._wire, self._url = wire, f"/api/pages/page-{files}"
        self._numbers: Iterator[int] = itertools.cycle((1, 2))
        for generation in (1, 2):
            content = {f"{n % 50}/{n}.html": f"<p>{generation}.{n}" for n in range(files)}
            assert wire.publish_page(make_zip(content), path=f"page-{files}").status == 201

    def roll_back(self) -> float:
        """To the publication that is not live, or, of none, to one that was."""
        body = {"publication": next(self._numbers)}
        return self._timed(
            lambda: self._wire.ask_json("POST", f"{self._url}/rollback", body).status
        )

    def unpublish(self) -> float:
        """Until it is rolled back."""
        return self._timed(lambda: self._wire.ask("DELETE", self._url).status)

    def _timed(self, act: Callable[[], int]) -> float:
        # Waitress hangs up after a 204: whoever comes next would pay for the new connection.
        self._wire.ask("GET", self._url)
        started = time.perf_counter()
        status = act()
        seconds = time.perf_counter() - started
        assert status in {200, 204}, status
        return seconds * 1000


def main() -> None:
    verdict = Verdict("rolling back and unpublishing, by number of files")
    with folder() as place, HubProcess(place, SETTINGS) as hub, hub.wire() as wire:
        few, many = Page(wire, FEW), Page(wire, MANY)
        acts = {"roll back": "roll_back", "unpublish": "unpublish", "from nothing": "roll_back"}
        sides = {
            f"{label}: {files:,} files": getattr(page, act)
            for label, act in acts.items()
            for files, page in ((FEW, few), (MANY, many))
        }
        cost = take_turns(sides, rounds=ROUNDS, warm_up=5)
    for name, value in cost.items():
        verdict.show(name, value, "ms")
    for label in acts:
        ratio = cost[f"{label}: {MANY:,} files"] / cost[f"{label}: {FEW:,} files"]
        verdict.at_most(f"{label}: {MANY:,} files / {FEW:,} files", ratio, 1.3)
    verdict.close()


if __name__ == "__main__":
    main()
