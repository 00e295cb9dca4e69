"""Backups of a hub that serves many at once: each is whole, and has all that was acknowledged before."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.stress.agreement import check_package
from tests.stress.backends import FolderAndFile
from tests.stress.checks import kinds
from tests.stress.clients import KEEP, Access, Crowd, Owner, Packager, page_events
from tests.stress.site import Site
from tests.stress.states import PageState
from tests.support.process import HubProcess, Wire

pytestmark = pytest.mark.stress

ANSWERS = 40


class Load:
    """Clients that change a hub while the `with` block runs. They go on where they were."""

    def __init__(self, seed: int) -> None:
        access = Access()
        sites = (Site("docs", files=3), Site("blog/2026", files=3, large=0))
        self.packagers = [Packager(name, access, seed) for name in ("anvil", "bellows", "crucible")]
        self.owners = [Owner(site, access, seed) for site in sites]

    def __call__(self, hub: HubProcess) -> "Load":
        """Choose the hub."""
        self.hub, self.crowd = hub, Crowd()
        self.over, self.answers = threading.Event(), threading.Semaphore(0)
        return self

    def __enter__(self) -> None:
        for each in (*self.packagers, *self.owners):
            self.crowd.add(each.go_on, self.hub, self.answered)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.crowd.join()

    def answered(self) -> None:
        self.answers.release()
        if self.over.is_set():
            raise ConnectionAbortedError

    def known(self) -> tuple[dict[str, object], Counter[tuple[str, str]]]:
        """Return what is acknowledged by now: versions of packages, and how often what of pages."""
        versions = {each.name: each.state.versions for each in self.packagers}
        return versions, sum((each.events for each in self.owners), Counter())


def check_restored(hub: HubProcess, key: str, load: Load, known) -> int:
    """Check that all that was known is there, and all that is there is whole. Return how many versions."""
    found, (packages, acts) = 0, known
    with Wire(hub.port, key) as wire:
        for package, versions in packages.items():
            seen = check_package(wire, package)
            found += len(seen)
            for number, version in versions.items():
                assert seen[number].content_hash == version.content_hash
                assert seen[number].tombstoned >= version.tombstoned
        for owner in load.owners:
            page = wire.ask("GET", f"/api/pages/{owner.name}")
            if page.status == 200:
                live = page.json["publication"]
                generation = owner.state.generations[live]
                assert page.json["content_hash"] == owner.site.content_hash(generation)
                owner.check_live(wire, PageState(live, owner.state.generations))
    assert Counter(page_events(hub)) >= acts
    return found


def test_a_backup_under_load_is_whole_and_has_all_that_was_acknowledged(
    backend, tmp_path: Path, budget, tell
) -> None:
    load, place, is_over = Load(budget.seed), backend(tmp_path / "hub"), budget.is_over()
    settings, folder = {"pages.keep_publications": str(KEEP)}, tmp_path / "backup"
    number = 0
    with place.process(tmp_path / "hub", settings, 1 if place.is_local else 2) as hub:
        while number == 0 or not is_over():
            with load(hub):
                for _ in range(ANSWERS):
                    assert load.answers.acquire(timeout=60)
                known = load.known()
                tell(hub.command("backup", str(folder)))
            # In turns to a hub of the same kind, and to one machine.
            own = tmp_path / f"restored-{number}"
            target = FolderAndFile(own) if number % 2 else backend(own)
            restored = target.process(own, settings)
            restored.command("restore", str(folder))
            assert not kinds(restored, "--deep")
            with restored:
                versions = check_restored(restored, hub.key, load, known)
            number += 1
    tell(f"{number} backups, the last of {versions} versions")
