"""Two collectors run without a pause while clients put, release and put again the same bytes.

They have no grace: whatever lies in the store without a row is theirs at once. Bytes are put by those
who have claimed their row before, so nothing that is wanted may ever be lost.
"""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stress.backends import Backend, DiskAndSQLite
from tests.stress.checks import check
from tests.stress.ledgers import BUSY, Packager
from tests.stress.owners import Crowd
from tests.stress.site import Site, visit
from tests.stress.uploaders import Tokens, Uploader
from tests.support.process import HubProcess, Wire

pytestmark = pytest.mark.stress

# Some of the changes are of other kinds, or are refused while others are busy: 1,000 put bytes or release some.
COLLECTORS, CHANGES, LEAST = 2, 1300, 1000
PUTS = ("publish", "publish page", "upload")
RELEASES = ("tombstone", "unpublish", "withdraw", "remove")
PACKAGES = ("anvil", "bellows")
# They upload, again and again, what another has just released.
PRODUCTS = ("engine", "bolt")
# The same few archives at several pages, of which no past ones are kept: what is published was there
# before, and somebody is just removing it.
PATHS, SHARED, GENERATIONS = ("a", "b", "c"), Site("shared", files=3, large=0), 3

PROGRAM = Path(__file__).resolve().parents[1] / "support" / "collector.py"


class Repeater:
    """Publishes the shared archives at one page, again and again, and looks at what is live."""

    def __init__(self, path: str, seed: int) -> None:
        self._path, self._dice = path, random.Random(f"{seed} {path}")
        self.done, self._live, self.refused = Counter[str](), 0, 0

    def go_on(self, hub: HubProcess, changes: "Changes") -> None:
        """Act while there are changes to be made."""
        with hub.wire() as wire:
            while changes.take():
                self._act(wire)
                self.check(wire)

    def _act(self, wire: Wire) -> None:
        unpublishes = bool(self._live) and self._dice.random() < 0.3
        generation = 0 if unpublishes else self._dice.randint(1, GENERATIONS)
        if unpublishes:
            answer = wire.ask("DELETE", f"/api/pages/{self._path}")
        else:
            answer = wire.publish_page(SHARED.archive(generation), path=self._path)
        if answer.status == BUSY:
            self.refused += 1
            return
        assert answer.status == (204 if unpublishes else 201), answer
        self._live = generation
        self.done["unpublish" if unpublishes else "publish page"] += 1

    def check(self, wire: Wire) -> None:
        """Every file is there, of the generation that was published last."""
        for name in SHARED.names if self._live else ():
            answer = visit(wire, f"/pages/acme/{self._path}/{name}")
            assert answer.status == 200, (self._path, name, answer)
            assert SHARED.generation(name, answer.body) == self._live


class Changes:
    """A number of changes, shared by all clients."""

    def __init__(self, count: int) -> None:
        self._left, self._lock = count, threading.Lock()

    def take(self) -> bool:
        """Whether there is one more to be made."""
        with self._lock:
            self._left -= 1
            return self._left >= 0


def change(hub: HubProcess, client: Packager | Uploader, changes: Changes) -> None:
    """Change a package or a product while there are changes to be made."""

    def tell() -> None:
        if not changes.take():
            raise ConnectionAbortedError

    client.go_on(hub, tell)


@contextmanager
def collecting(hub: HubProcess, count: int) -> Iterator[Counter[str]]:
    """Collectors without a pause; what they did, all together, once the block has ended."""
    command, done = [sys.executable, "-W", "ignore", str(PROGRAM), str(hub.ini)], Counter[str]()
    running = [
        subprocess.Popen(
            command,
            cwd=PROGRAM.parents[2],
            env=dict(hub.environ),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield done
    finally:
        for each in running:
            each.terminate()
        told = [each.communicate(timeout=60)[0] for each in running]
    assert [each.returncode for each in running] == [0] * count
    for line in told:
        for figure in line.strip().split(";"):
            name, _, number = figure.rpartition("=")
            done[name] += int(number)


def test_two_collectors_without_grace_never_remove_what_is_wanted(
    backend: Backend, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started, changes, crowd = time.monotonic(), Changes(CHANGES), Crowd()
    workers = 1 if isinstance(backend, DiskAndSQLite) else 2
    settings = {"pages.keep_publications": "0"}
    hub = backend.place(tmp_path).process(tmp_path, settings=settings, workers=workers)
    packagers = [Packager(name, seed) for name in PACKAGES]
    repeaters = [Repeater(path, seed) for path in PATHS]
    tokens = Tokens()
    uploaders = [Uploader(name, tokens, seed) for name in PRODUCTS]
    with hub:
        tokens.make(hub)
        with collecting(hub, COLLECTORS) as collected:
            for client in (*packagers, *uploaders):
                crowd.add(change, hub, client, changes)
            for repeater in repeaters:
                crowd.add(repeater.go_on, hub, changes)
            crowd.join()
        with hub.wire() as wire:
            for packager in packagers:
                packager.check(wire, all_=True)
            for repeater in repeaters:
                repeater.check(wire)
        for uploader in uploaders:
            uploader.check(hub, all_=True)
        found = check(hub, "--deep")[1]
        log = hub.log.read_text()
    clients = (*packagers, *repeaters, *uploaders)
    done, refused = (
        sum((each.done for each in clients), Counter[str]()),
        sum(e.refused for e in clients),
    )
    with capsys.disabled():
        print(f"{dict(done)}, {refused} times busy; {time.monotonic() - started:.0f} s")
        print(f"collected {dict(collected)}")
    assert not {subject: kind for subject, kind in found.items() if kind != "unknown"}
    assert "ERROR" not in log
    assert collected["rounds"] > COLLECTORS
    assert sum(done.values()) + refused >= CHANGES
    assert sum(done[kind] for kind in PUTS + RELEASES) >= LEAST
    assert all(done[kind] for kind in PUTS + RELEASES)
    assert refused < CHANGES / 20
