"""Two collectors run without a pause while clients put, release and put again the same bytes.

They have no grace: whatever lies in the store without a row is theirs at once. Bytes are put by clients
whose row is there before, so nothing that is wanted may ever be lost.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stress.checks import kinds
from tests.stress.clients import Access, Client, Crowd, Owner, Packager, Uploader
from tests.stress.site import Site
from tests.support.process import PROJECT, HubProcess

pytestmark = pytest.mark.stress

COLLECTORS, GENERATIONS = 2, 3
CHANGES = {"publish", "publish page", "upload", "tombstone", "unpublish", "withdraw", "remove"}
# Pages without past publications share a few archives: what is published was there before, and somebody
# is just removing it.
SITES = [Site(path, files=3, large=0, label="shared") for path in ("a", "b", "c")]


@contextmanager
def collecting(hub: HubProcess) -> Iterator[Counter[str]]:
    """Run collectors without a pause, and count what they did once the block has ended."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.collector", str(hub.ini)]
    options = {"cwd": PROJECT, "env": dict(hub.environ), "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, **options) for _ in range(COLLECTORS)]
    done = Counter[str]()
    try:
        for each in running:
            assert each.stdout.readline() == "collecting\n"
        yield done
    finally:
        for each in running:
            each.terminate()
        told = [each.communicate(timeout=60)[0] for each in running]
    assert [each.returncode for each in running] == [0] * COLLECTORS
    for figures in told:
        done.update(json.loads(figures))


def test_two_collectors_without_grace_never_remove_what_is_wanted(
    backend, tmp_path: Path, budget
) -> None:
    crowd, place, access, seed = Crowd(), backend(tmp_path), Access(), budget.seed
    settings = {"pages.keep_publications": "0"}
    clients = [
        *(Packager(name, access, seed) for name in ("anvil", "bellows")),
        *(Uploader(name, access, seed) for name in ("engine", "bolt")),
        *(Owner(site, access, seed, 0, GENERATIONS) for site in SITES),
    ]

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
        with collecting(hub) as collected:
            is_over = budget.is_over()
            for client in clients:
                crowd.add(change, client)
            crowd.join()
        hub.command("gc", "--grace", "0")
        for client in clients:
            client.check(hub, all_=True)
        assert not kinds(hub, "--deep")
        assert "ERROR" not in hub.log.read_text()
    done = sum((each.done for each in clients), Counter())
    print(f"{dict(done)}; collected {dict(collected)}")
    assert collected["rounds"] >= COLLECTORS
    assert budget.is_sample or done.keys() >= CHANGES
