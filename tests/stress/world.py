"""A small hub in this process with something of everything in it, and the clients that know its state."""

import gc
import os
import shutil
from datetime import timedelta
from pathlib import Path

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Check, Finding, adopt_orphans, hold, key_of, tidy
from hubrepo.kernel.transfer import Backup
from tests.stress.backends import FolderAndFile, Place
from tests.stress.clients import Access, Client, Owner, Packager, Uploader
from tests.stress.site import Site
from tests.stress.states import Step
from tests.support.archives import package_zip
from tests.support.hub import Hub
from tests.support.process import Answer, Wire

# S3 tells the age of bytes in whole seconds.
SOON = timedelta(seconds=2)


class NoWire(Wire):
    """Requests to a hub in this process."""

    def __init__(self, hub: Hub, key: str, token: str = "") -> None:
        token_ = {"HTTP_X_API_TOKEN": token} if token else {}
        self._app = hub.app(HTTP_AUTHORIZATION=f"Api-Key {key}", **token_)

    def close(self) -> None:
        pass

    def ask(self, method: str, path: str, body: bytes = b"", headers=None) -> Answer:
        headers = dict(headers or {})
        answer = self._app.request(path, method=method, body=body, headers=headers, status="*")
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_int, named, answer.body)


class NoAccess(Access):
    """Access to a hub in this process."""

    def __init__(self, hub: Hub) -> None:
        client = hub.organisation()
        super().__init__(client.token(admin=True).key, client.token().key, client.slug)
        self.key = client.key

    def wire(self, hub: Hub, token: str = "") -> NoWire:
        return NoWire(hub, self.key, token or self.admin)


def published(text: str) -> Step:
    return Step("publish", content=package_zip("widget", readme=text))


def uploaded(version: str) -> Step:
    return Step("upload", version=version, content=f"bytes of {version}".encode())


def page_published(generation: int) -> Step:
    return Step("publish page", generation=generation)


def found_in(hub: Hub, *, deep: bool = True) -> list[Finding]:
    """Return all that a check finds."""
    registry = hub.registry
    checks = registry.checks.values()
    return list(Check(registry.database, registry.stores, checks, deep=deep).run())


class World:
    """The hub, and its clients. `bring_back` makes both what they were at first."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        # Blobs kept in memory would hide those that are gone from the store.
        self.hub = place.hub(pages__keep_publications="1", blobs_in_memory="0")
        # One moment for all runs, so that each takes the same steps: archives have their times inside.
        moment = now()
        self.hub.registry.clock = lambda: moment
        self.access = NoAccess(self.hub)
        self.packager = Packager("widget", self.access, 0)
        self.owner = Owner(Site("docs", files=4, large=0), self.access, 0)
        # One more than the hub keeps: a fault may leave it to the next publish or start.
        self.owner.keep = 2
        self.uploader = Uploader("engine", self.access, 0)
        self.clients: tuple[Client, ...] = (self.packager, self.owner, self.uploader)
        self.backups = folder / "backup"
        self._other_place = FolderAndFile(folder / "other")
        self._other = self._other_place.hub()
        self._fill()
        self._states = [each.state for each in self.clients]
        self.close()
        self._other.registry.database.close()
        for each in (place, self._other_place):
            each.keep()
        shutil.copytree(self.backups, folder / "kept backup")

    @property
    def watched(self) -> list[Path]:
        """The folders where a fault may happen: with S3, a backup does the same there."""
        return [self.folder / "var", self.backups] if self.place.is_local else []

    def bring_back(self) -> None:
        self.close()
        self.place.bring_back()
        shutil.rmtree(self.backups)
        shutil.copytree(self.folder / "kept backup", self.backups)
        for client, state in zip(self.clients, self._states, strict=True):
            client.state, client.pending, client.was_done = state, None, False

    def _fill(self) -> None:
        """Make versions and a tombstone, publications, released bytes, and leftovers of dead processes."""
        for number in (1, 2, 3):
            self.take(self.packager, published(f"version {number}"))
        self.take(self.packager, Step("alias", number=2))
        self.back_up()
        self.take(self.packager, Step("tombstone", number=1))
        self.take(self.uploader, Step("create"))
        self.take(self.uploader, Step("grant", flags=frozenset({"download"})))
        old = Owner(Site("old", files=3, large=0), self.access, 0)
        registry = self.hub.registry
        with hold(registry.database, "released bytes stay for a while"):
            for owner, generations in ((self.owner, (1, 2, 3)), (old, (1, 2))):
                for generation in generations:
                    self.take(owner, page_published(generation))
            for version in ("v1", "v2", "v7"):
                self.take(self.uploader, uploaded(version))
            self.take(self.uploader, Step("withdraw", version="v7"))
        self.take(old, Step("unpublish"))
        stage = registry.stores.main.stage()
        stage.write(b"bytes of a process that died before its commit")
        with registry.database.read() as db:
            guid = self.hub.accounts(db).organisation(self.access.slug).guid.hex
        registry.stores.main.promote(stage, key_of(guid, stage.digest))
        stages = self.folder / "var" / "blobs" / ".stage"
        if stages.is_dir():
            (stages / "a-stage-of-a-process-that-died").write_bytes(b"half")
            os.utime(stages / "a-stage-of-a-process-that-died", (0, 0))

    def close(self) -> None:
        """Close whatever the hub has open; it opens what it needs anew."""
        # An error that nobody holds any more may still hold a connection. Freezing what is left saves
        # most of the time of the next collection, and of each forked process.
        gc.collect()
        gc.freeze()
        self.hub.registry.afterwards.settle()
        self.hub.registry.database.close()

    def ask(self, client: Client, step: Step) -> Answer:
        """Send a step, which stays pending."""
        client.pending = step
        with self.access.wire(self.hub) as wire:
            return client.do(wire, step)

    def take(self, client: Client, step: Step) -> None:
        """Take a step, which must be acknowledged."""
        client.acknowledge(step, self.ask(client, step))

    def check(self) -> None:
        for each in self.clients:
            each.check(self.hub, all_=True)

    def go_on(self) -> None:
        """Take some more steps, whatever became of the pending ones."""
        for each in self.clients:
            each.pending, each.was_done = None, False
        self.take(self.packager, published("another"))
        self.take(self.owner, page_published(5))
        if self.uploader.state.versions is None:
            self.take(self.uploader, Step("create"))
        self.take(self.uploader, uploaded("v6"))

    def start(self) -> None:
        """Do with what a dead process left what a start does."""
        self.close()
        tidy(self.hub.registry)

    def collect(self) -> object:
        """Do what `hubrepo gc --grace 0` does."""
        registry = self.hub.registry
        adopt_orphans(registry.database, registry.stores, now() + SOON)
        return tidy(registry, timedelta(0))

    def back_up(self) -> None:
        """Do what `hubrepo backup` does, into the folder of an earlier one."""
        registry = self.hub.registry
        done = Backup(self.backups).make(registry.database, registry.stores)
        assert done.damaged == []

    def restore(self) -> None:
        """Check that the backup, be it the earlier or the new one, makes a hub that is whole."""
        registry = self._other.registry
        registry.database.close()
        self._other_place.bring_back()
        backup = Backup(self.backups)
        done = backup.restore(registry.database, registry.stores, registry.migrations)
        assert done.damaged == []
        assert found_in(self._other) == []
