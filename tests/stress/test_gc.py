"""Two collectors run without a pause while clients put, release and put again the same bytes.

They have no grace: whatever lies in the store without a row is theirs at once. Bytes are put by clients
whose row is there before, so nothing that is wanted may ever be lost.
"""

import multiprocessing
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from hubrepo.cli import Command
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import adopt_orphans, tidy
from tests.stress.clients import Access, Client, Crowd, Owner, Packager, Uploader, kinds_found
from tests.stress.site import Site
from tests.support.process import HubProcess

pytestmark = pytest.mark.stress

FORK, GENERATIONS = multiprocessing.get_context("fork"), 3
CHANGES = {"publish", "publish page", "upload", "tombstone", "unpublish", "withdraw", "remove"}
# Pages without past publications share a few archives: what is published was there before, and somebody
# is just removing it.
SITES = [Site(path, files=3, large=0, label="shared") for path in ("a", "b", "c")]


def collect(hub: HubProcess, over, figures) -> None:
    """Do what `hubrepo gc --grace 0` does, again and again, in a process of its own."""
    registry, done = Command(str(hub.ini)).prepared(), Counter[str]()
    while not (over.is_set() and done["rounds"]):
        done["rounds"] += 1
        try:
            done["adopted"] += adopt_orphans(registry.database, registry.stores, now()).adopted
            done.update(tidy(registry, timedelta(0)))
        except OperationalError:
            # Others were writing for too long: the next round does it.
            done["busy"] += 1
    figures.put(done)


def test_two_collectors_without_grace_never_remove_what_is_wanted(
    backend, tmp_path: Path, budget
) -> None:
    crowd, place, access, seed = Crowd(), backend(tmp_path), Access(), budget.seed
    over, figures = FORK.Event(), FORK.Queue()
    settings = {"pages.keep_publications": "0"}
    clients = [
        *(Packager(name, access, seed) for name in ("anvil", "bellows")),
        *(Uploader(name, access, seed) for name in ("engine", "bolt")),
        *(owners := [Owner(site, access, seed) for site in SITES]),
    ]
    for owner in owners:
        owner.keep, owner.generations = 0, GENERATIONS

    def change(client: Client) -> None:
        """Change things until the time is over, and look at each page that was published."""

        def answered() -> None:
            if isinstance(client, Owner):
                with hub.wire() as wire:
                    client.check_live(wire, client.state)
            if is_over():
                raise ConnectionAbortedError

        client.go_on(hub, answered)

    with place.process(tmp_path, settings, 1 if place.is_local else 2) as hub:
        access.make(hub)
        collectors = [FORK.Process(target=collect, args=(hub, over, figures)) for _ in range(2)]
        for each in collectors:
            each.daemon = True
            each.start()
        is_over = budget.is_over()
        for client in clients:
            crowd.add(change, client)
        crowd.join()
        over.set()
        collected = [figures.get(timeout=60) for _ in collectors]
        for each in collectors:
            each.join()
        hub.command("gc", "--grace", "0")
        for client in clients:
            client.check(hub, all_=True)
        assert not kinds_found(hub)
        assert "ERROR" not in hub.log.read_text()
    done = sum((each.done for each in clients), Counter())
    print(f"{dict(done)}; collected {collected}")
    assert budget.is_sample or done.keys() >= CHANGES
