"""Backups of a hub that serves many at once: each is whole, and has all that was acknowledged before."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.stress.agreement import check_package
from tests.stress.backends import FolderAndFile
from tests.stress.clients import KEEP, Ledger, kinds_found, page_events
from tests.stress.states import PageState
from tests.support.process import HubProcess, Wire

pytestmark = pytest.mark.stress

ANSWERS = 30


def back_up_under_load(hub: HubProcess, ledger: Ledger, folder: Path):
    """Back up while all clients work. Return versions and events that were acknowledged before."""
    over, answers = threading.Event(), threading.Semaphore(0)

    def answered() -> None:
        answers.release()
        if over.is_set():
            raise ConnectionAbortedError

    crowd = ledger.crowd(hub, answered)
    try:
        for _ in range(ANSWERS):
            assert answers.acquire(timeout=60)
        known = {each.name: each.state.versions for each in ledger.packagers}, ledger.events
        hub.command("backup", str(folder))
    finally:
        over.set()
        crowd.join()
    return known


def check_restored(hub: HubProcess, key: str, ledger: Ledger, known) -> None:
    """Check that all that was known is there, and all that is there is whole."""
    packages, acts = known
    with Wire(hub.port, key) as wire:
        for package, versions in packages.items():
            seen = check_package(wire, package) if versions else {}
            for number, version in versions.items():
                assert seen[number].content_hash == version.content_hash
                assert seen[number].tombstoned >= version.tombstoned
        for owner in ledger.owners:
            page = wire.ask("GET", f"/api/pages/{owner.name}")
            if page.status == 200:
                live, generations = page.json["publication"], owner.state.generations
                assert page.json["content_hash"] == owner.site.content_hash(generations[live])
                owner.check_live(wire, PageState(live, generations))
    assert Counter(page_events(hub)) >= acts


def test_a_backup_under_load_is_whole_and_has_all_that_was_acknowledged(
    backend, tmp_path: Path, budget
) -> None:
    ledger, place, is_over = Ledger(budget.seed), backend(tmp_path / "hub"), budget.is_over()
    settings, number = {"pages.keep_publications": str(KEEP)}, 0
    with place.process(tmp_path / "hub", settings, 1 if place.is_local else 2) as hub:
        ledger.access.make(hub)
        while number == 0 or not is_over():
            known = back_up_under_load(hub, ledger, tmp_path / "backup")
            # In turns to a hub of the same kind, and to one machine.
            folder = tmp_path / f"restored-{number}"
            target = FolderAndFile(folder) if number % 2 else backend(folder)
            restored = target.process(folder, settings)
            restored.command("restore", str(tmp_path / "backup"))
            assert not kinds_found(restored)
            with restored:
                check_restored(restored, hub.key, ledger, known)
            number += 1
    print(f"{number} backups during {ledger.done}")
