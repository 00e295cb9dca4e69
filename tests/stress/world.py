"""A small hub with something of everything in it, and what must be true of it whatever happened."""

import gc
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Check, Finding, adopt_orphans, hold, key_of, tidy
from hubrepo.kernel.transfer import Backup
from tests.stress.agreement import Listed, check_package
from tests.stress.backends import FolderAndFile, Place
from tests.stress.site import Site, check_site
from tests.stress.uploaders import Shelf, checksum, shelf_of
from tests.support.archives import package_zip
from tests.support.hub import Hub
from tests.support.process import Answer, Wire
from tests.support.uploads import FORM, form

PACKAGE, PRODUCT = "widget", "engine"
DOCS, OLD = Site("docs", files=4, large=0), Site("old", files=3, large=0)
# S3 tells the age of bytes in whole seconds.
SOON = timedelta(seconds=2)


class NoWire(Wire):
    """Requests to a hub in this process."""

    def __init__(self, hub: Hub, key: str) -> None:
        self._app = hub.app(HTTP_AUTHORIZATION=f"Api-Key {key}")

    def close(self) -> None:
        """There is nothing to hang up."""

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call, and take all of the answer."""
        answer = self._app.request(
            path, method=method, body=body, headers=dict(headers or {}), status="*"
        )
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_int, named, answer.body)


@dataclass(frozen=True)
class State:
    """What the hub shows: versions by number, what is live at DOCS, what is kept of it; PRODUCT; all hashes."""

    versions: Mapping[int, Listed]
    live: int
    kept: frozenset[int]
    shelf: Shelf
    hashes: frozenset[str] = frozenset()

    @property
    def essence(self) -> tuple[object, ...]:
        """All but what is forgotten sooner or later."""
        return (self.versions, self.live, self.shelf)


@cache
def archive_of(text: str) -> bytes:
    """A package archive; the same bytes each time, though archives tell when they were made."""
    return package_zip(PACKAGE, readme=text)


def found_in(hub: Hub, *, deep: bool = True) -> list[Finding]:
    """All that a check finds."""
    registry = hub.registry
    checks = registry.checks.values()
    return list(Check(registry.database, registry.stores, checks, deep=deep).run())


@dataclass
class World:
    """The hub, and what an observer finds in it."""

    place: Place
    folder: Path
    hub: Hub = field(init=False)
    wire: NoWire = field(init=False)

    def __post_init__(self) -> None:
        # What is kept in memory would hide what is gone from the store.
        self.hub = self.place.hub(pages__keep_publications="1", blobs_in_memory="0")
        # The same every time, so that the same is done every time: archives tell when they were made.
        moment = now()
        self.hub.registry.clock = lambda: moment
        client = self.hub.organisation()
        self.slug, self.guid = client.slug, self._guid(client.slug)
        self.wire = NoWire(self.hub, client.key)
        self.token, self.holder = client.token(admin=True), client.token()
        self.backups, self._proved = self.folder / "backup", set[str]()
        self._other_place = FolderAndFile(self.folder / "other")
        self._other = self._other_place.hub()
        self._fill()
        self.hub.registry.afterwards.settle()
        for each in (self.hub, self._other):
            each.registry.database.close()
        self.place.keep()
        self._other_place.keep()
        shutil.copytree(self.backups, self.folder / "kept backup")

    @property
    def watched(self) -> list[Path]:
        """The folders where a fault may happen: with S3, what a backup does there is the same."""
        return [self.folder / "var", self.backups] if self.place.is_local else []

    def bring_back(self) -> None:
        """Make the hub what it was at first."""
        self.close()
        self.place.bring_back()
        shutil.rmtree(self.backups)
        shutil.copytree(self.folder / "kept backup", self.backups)

    def _guid(self, slug: str) -> str:
        with self.hub.registry.database.read() as db:
            guid: str = self.hub.accounts(db).organisation(slug).guid.hex
            return guid

    def _fill(self) -> None:
        """Versions and a tombstone, publications, bytes that were released, and what dead ones left."""
        for number in (1, 2, 3):
            assert self.publish(f"version {number}").status == 201
        self.wire.ask_json("PUT", f"/api/packages/{PACKAGE}/aliases/stable", {"version": 2})
        self.back_up()
        assert self.tombstone(1).status == 200
        self.token.create(PRODUCT)
        self.token.grant(PRODUCT, self.holder, "download")
        registry = self.hub.registry
        with hold(registry.database, "what is released stays for a while"):
            for site, generations in ((DOCS, (1, 2, 3)), (OLD, (1, 2))):
                for generation in generations:
                    assert self.publish_page(site, generation).status == 201
            for version in ("v1", "v2", "old"):
                assert self.upload(version, f"bytes of {version}".encode()).status == 201
            assert self.withdraw("old").status == 204
        assert self.wire.ask("DELETE", f"/api/pages/{OLD.path}").status == 204
        stage = registry.stores.main.stage()
        stage.write(b"bytes of a process that died before its commit")
        registry.stores.main.promote(stage, key_of(self.guid, stage.digest))
        stages = self.folder / "var" / "blobs" / ".stage"
        if stages.is_dir():
            (stages / "a-stage-of-a-process-that-died").write_bytes(b"half")
            os.utime(stages / "a-stage-of-a-process-that-died", (0, 0))

    def close(self) -> None:
        """Close whatever the hub has open; it opens what it needs anew."""
        # An error that nobody holds any more may still hold a connection. What is left stays: to look
        # through it for each close, and in each process that is forked, would take most of the time.
        gc.collect()
        gc.freeze()
        self.hub.registry.afterwards.settle()
        self.hub.registry.database.close()

    def publish(self, text: str) -> Answer:
        """Publish a version."""
        return self.wire.publish(PACKAGE, archive_of(text))

    def publish_page(self, site: Site, generation: int) -> Answer:
        """Publish a generation of a page."""
        return self.wire.publish_page(site.archive(generation), path=site.path)

    def roll_back(self, number: int) -> Answer:
        """Make a publication of DOCS live again."""
        path = f"/api/pages/{DOCS.path}/rollback"
        return self.wire.ask_json("POST", path, {"publication": number})

    def tombstone(self, number: int) -> Answer:
        """Remove the bytes of a version."""
        path = f"/api/packages/{PACKAGE}/versions/{number}"
        return self.wire.ask_json("DELETE", path, {"reason": "leaked"})

    def manage(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """A request with the admin token."""
        return self.wire.ask(method, path, body, {"X-Api-Token": self.token.key, **headers})

    def upload(self, version: str, content: bytes) -> Answer:
        """Upload a version of PRODUCT."""
        return self.manage("POST", "/product/upload", form(PRODUCT, version, content), **FORM)

    def withdraw(self, version: str) -> Answer:
        """Delete a version of PRODUCT."""
        return self.manage("DELETE", f"/product/delete/{PRODUCT}/{version}")

    def remove(self) -> Answer:
        """Delete PRODUCT."""
        return self.manage("DELETE", f"/product/delete/{PRODUCT}")

    def prune(self) -> Answer:
        """Remove the token that PRODUCT was granted to."""
        return self.manage("DELETE", f"/prune/{self.holder.digest}")

    def _observe_product(self) -> Shelf:
        seen = shelf_of(self.manage("GET", f"/product/fetch/{PRODUCT}"), self.holder.digest)
        for version, expected in (seen.versions or {}).items():
            answer = self.manage("GET", f"/product/download/{PRODUCT}/{version}")
            assert (answer.status, checksum(answer.body)) == (200, expected), answer
        return seen

    def observe(self) -> State:
        """What is there, all of it whole and in agreement with itself."""
        versions = check_package(self.wire, PACKAGE)
        page = self.wire.ask("GET", f"/api/pages/{DOCS.path}").json
        kept = self.wire.ask("GET", f"/api/pages/{DOCS.path}/publications").json
        hashes = {each["publication"]: each["content_hash"] for each in kept}
        generation = self._generation(hashes[page["publication"]])
        check_site(self.wire, DOCS, generation, base=f"/pages/{self.slug}")
        shelf = self._observe_product()
        known = {each.content_hash for each in versions.values()} | set(hashes.values())
        known |= set((shelf.versions or {}).values())
        return State(versions, page["publication"], frozenset(hashes), shelf, frozenset(known))

    @staticmethod
    def _generation(content_hash: str) -> int:
        known = {DOCS.content_hash(generation): generation for generation in range(1, 10)}
        return known[content_hash.removeprefix("sha256:")]

    def start(self) -> None:
        """What a start does with what the process before it left."""
        self.close()
        tidy(self.hub.registry)

    def collect(self) -> Any:
        """What `hubrepo gc --grace 0` does."""
        registry = self.hub.registry
        adopt_orphans(registry.database, registry.stores, now() + SOON)
        return tidy(registry, timedelta(0))

    def back_up(self) -> None:
        """What `hubrepo backup` does, into the folder of an earlier one."""
        registry = self.hub.registry
        done = Backup(self.backups).make(registry.database, registry.stores)
        assert done.damaged == []

    def restore(self) -> None:
        """The backup, be it the earlier one or the new one, makes a hub that is whole."""
        if (content := self._backed_up()) in self._proved:
            return
        registry = self._other.registry
        registry.database.close()
        self._other_place.bring_back()
        backup = Backup(self.backups)
        done = backup.restore(registry.database, registry.stores, registry.migrations)
        assert done.damaged == []
        assert found_in(self._other) == []
        self._proved.add(content)

    def _backed_up(self) -> str:
        """A digest of all that a restore reads: what is the same makes the same hub."""
        rows, digest = Backup(self.backups).manifest().rows, hashlib.sha256()
        for part in (self.backups / "backup.json", *sorted(self.backups.rglob("*"))):
            name = part.relative_to(self.backups).as_posix()
            is_read = name.startswith((f"{rows}/", "blobs/")) and "/.stage/" not in name
            if part.is_file() and (is_read or name == "backup.json"):
                digest.update(f"{name} {part.stat().st_size}\n".encode() + part.read_bytes())
        return digest.hexdigest()
