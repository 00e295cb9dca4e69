"""Backups of a hub that serves many at once: each is whole, and has all that was acknowledged before."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stress.agreement import Listed, check_package
from tests.stress.backends import Backend, DiskAndSQLite
from tests.stress.checks import kinds
from tests.stress.ledgers import Packager
from tests.stress.owners import KEEP, Crowd, Owner, events_of
from tests.stress.site import Site, check_site
from tests.support.process import HubProcess, Wire

pytestmark = pytest.mark.stress

BACKUPS = 2
ANSWERS = 40
SITES = (Site("docs", files=3), Site("blog/2026", files=3, large=0))
PACKAGES = ("anvil", "bellows", "crucible")


@dataclass(frozen=True)
class Known:
    """What was acknowledged at some moment: versions of packages, and how often what of pages."""

    versions: Mapping[str, Mapping[int, Listed]]
    acts: Counter[tuple[str, str]]


class Load:
    """Clients that change a hub while the `with` block runs. They go on where they were."""

    def __init__(self, seed: int) -> None:
        self.packagers = [Packager(name, seed) for name in PACKAGES]
        self.owners = [Owner(site, seed) for site in SITES]

    def __call__(self, hub: HubProcess) -> "Load":
        """On this hub."""
        self._hub, self._crowd = hub, Crowd()
        self._over, self.answered = threading.Event(), threading.Semaphore(0)
        return self

    def __enter__(self) -> None:
        for each in (*self.packagers, *self.owners):
            self._crowd.add(each.go_on, self._hub, self._tell)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._crowd.join()

    def _tell(self) -> None:
        self.answered.release()
        if self._over.is_set():
            raise ConnectionAbortedError

    @property
    def refused(self) -> int:
        """How often the hub was busy."""
        return sum(each.refused for each in (*self.packagers, *self.owners))

    def known(self) -> Known:
        """What is acknowledged by now."""
        acts = Counter[tuple[str, str]]()
        for owner in self.owners:
            acts += Counter({(kind, owner.site.path): n for kind, n in dict(owner.done).items()})
        return Known({each.package: dict(each.versions) for each in self.packagers}, acts)


def check_restored(hub: HubProcess, key: str, load: Load, known: Known) -> int:
    """All that was known is there, and all that is there is whole; how many versions."""
    found = 0
    with Wire(hub.port, key) as wire:
        for package, versions in known.versions.items():
            seen = check_package(wire, package)
            found += len(seen)
            for number, version in versions.items():
                assert seen[number].content_hash == version.content_hash
                assert seen[number].tombstoned >= version.tombstoned
        live = {each["path"]: each for each in wire.ask("GET", "/api/pages").json}
        for owner in load.owners:
            if page := live.get(owner.site.path):
                generation = owner.state.generations[page["publication"]]
                assert page["content_hash"] == owner.site.content_hash(generation)
                check_site(wire, owner.site, generation)
    told = Counter(events_of(hub))
    assert all(told[act] >= count for act, count in known.acts.items())
    return found


def test_a_backup_under_load_is_whole_and_has_all_that_was_acknowledged(
    backend: Backend, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    load, started, told = Load(seed), time.monotonic(), []
    workers = 1 if isinstance(backend, DiskAndSQLite) else 2
    settings, folder = {"pages.keep_publications": str(KEEP)}, tmp_path / "backup"
    source = backend.place(tmp_path / "hub").process(
        tmp_path / "hub", settings=settings, workers=workers
    )
    with source as hub:
        for number in range(BACKUPS):
            with load(hub):
                for _ in range(ANSWERS):
                    assert load.answered.acquire(timeout=60)
                known = load.known()
                told.append(hub.command("backup", str(folder)))
            # The last goes where the hub itself lies, the others onto one machine.
            target = backend if number == BACKUPS - 1 else DiskAndSQLite()
            place = target.place(tmp_path / f"restored-{number}")
            restored = place.process(tmp_path / f"restored-{number}", settings=settings)
            restored.command("restore", str(folder))
            assert not kinds(restored, "--deep")
            with restored:
                versions = check_restored(restored, hub.key, load, known)
    assert load.refused <= max(2, ANSWERS * BACKUPS / 20)
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(*told, sep="\n")
        print(f"{BACKUPS} backups, the last of {versions} versions; {seconds:.0f} s")
