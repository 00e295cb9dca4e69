"""Hubs with something of everything in them, on every store and database; and all that they keep."""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

import hubrepo
from hubrepo.features.packages.models import Package, Version
from hubrepo.features.pages.models import LivePage
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, Check, Finding, adopt_orphans, sweep, tidy
from hubrepo.kernel.db import Base
from hubrepo.kernel.transfer.rows import lines_of
from hubrepo.kernel.transfer.snapshots import LEFT_OUT
from tests.support.archives import package_zip
from tests.support.features import HAS_ARTIFACTS
from tests.support.hub import Client, Hub, TokenClient, migrated
from tests.support.s3 import S3Server

Maker = Callable[[pytest.FixtureRequest, Path], str]


def s3_url(server: S3Server) -> str:
    """An S3 store that nobody has used."""
    return server.url(f"{server.new_bucket()}/hub")


def _sqlite(_request: pytest.FixtureRequest, folder: Path) -> str:
    file = folder / "hub.sqlite"
    if not file.exists():
        file.write_bytes(migrated(hubrepo.FEATURES))
    return f"sqlite:///{file}"


def _postgresql(request: pytest.FixtureRequest, _folder: Path) -> str:
    server = request.getfixturevalue("postgresql")
    url: str = server.fresh(server.migrated)
    request.addfinalizer(lambda: server.drop(url))
    return url


# Each makes an empty store, or a database with all tables, that belongs to a folder, and returns its URL.
STORES: dict[str, Maker] = {
    "disk": lambda _request, folder: f"osfs://{folder}/blobs",
    "memory": lambda _request, _folder: "mem://",
    "s3": lambda request, _folder: s3_url(request.getfixturevalue("s3")),
}
DATABASES: dict[str, Maker] = {"sqlite": _sqlite, "postgresql": _postgresql}

# How many things of each organisation of `fill` can be read.
READABLE = 7 if HAS_ARTIFACTS else 3

SUMMARY = "Größe \U0001f4e6, 'quoted' \"twice\" \\ and\ttabbed"


def make_hub(
    request: pytest.FixtureRequest,
    folder: Path,
    store: str = "",
    database: str = "",
    **settings: str,
) -> Hub:
    """Make an empty hub, by default on the store and database that the options of this run name.

    Its connections are closed when the test ends.
    """
    folder.mkdir(exist_ok=True)
    places = {
        "blobs": STORES[store or request.config.getoption("--store")](request, folder),
        "database": DATABASES[database or request.config.getoption("--database")](request, folder),
    }
    hub = Hub.below(folder, **{**places, **settings})
    request.addfinalizer(hub.registry.database.close)
    return hub


@dataclass
class Filled(Client):
    """A client of an organisation with something of everything, and its tokens, where the hub has such.

    One token may download what is below one product; one is none any more.
    """

    raw_admin: str = ""
    raw_holder: str = ""
    raw_pruned: str = ""

    admin = property(lambda self: TokenClient(self.hub, self.slug, self.raw_admin))
    holder = property(lambda self: TokenClient(self.hub, self.slug, self.raw_holder))
    pruned = property(lambda self: TokenClient(self.hub, self.slug, self.raw_pruned))


def _filled(client: Client) -> Filled:
    tokens = (True, False, False) if HAS_ARTIFACTS else ()
    raw = [client.token(admin=is_admin).key for is_admin in tokens]
    return Filled(client.hub, client.slug, client.key, "", *raw)


def _fill_products(client: Filled) -> None:
    """Products and grants; versions of the same bytes, of none and of some, and what is deleted."""
    admin, holder, pruned = client.admin, client.holder, client.pruned
    for name in ("engine", "bolt", "gone"):
        admin.create(name)
        admin.put(name, "v1.0.0", b"the same for all\n" * 50, "größe \U0001f4e6.tar.gz")
    admin.put("engine", "v1.1.0", f"of {client.slug}\n".encode() * 50)
    admin.put("engine", "empty", b"")
    admin.put("engine", "withdrawn", f"withdrawn by {client.slug}".encode())
    for each in (holder, pruned):
        admin.grant("engine", each, "download", "upload")
    admin.grant("engine", holder, "download")
    admin.grant("bolt", holder)
    admin.delete("/product/delete/engine/withdrawn")
    admin.delete("/product/delete/gone")
    admin.delete(f"/prune/{pruned.digest}")
    holder.get("/product/fetch/engine")


def fill(
    hub: Hub, organisations: int = 2, packages: int = 1, versions: int = 3, *, anew: bool = False
) -> list[Filled]:
    """Organisations with packages, pages and products, of the same names and, in part, the same bytes.

    They are always the same, unless they are made `anew`: copies take a tenth of the time.
    """
    is_usual = hub.is_on_sqlite and len(list(hub.registry.stores)) == 1
    if anew or not is_usual:
        return _filled_by_requests(hub, organisations, packages, versions)
    rows, bytes_, clients = _original(organisations, packages, versions)
    file = hub.settings["hubrepo.database"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as target:
        rows.backup(target)
    for key, data in bytes_.items():
        put(hub, key, data)
    return [client_of(hub, each) for each in clients]


@cache
def _original(*counts: int) -> tuple[sqlite3.Connection, Mapping[str, bytes], Sequence[Filled]]:
    """What a hub was filled with once: its rows, the bytes by their keys, and who calls it."""
    with TemporaryDirectory() as folder:
        hub = Hub.below(Path(folder), database=f"sqlite:///{folder}/hub.sqlite", blobs="mem://")
        clients = _filled_by_requests(hub, *counts)
        rows = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(f"{folder}/hub.sqlite")) as source:
            source.backup(rows)
        bytes_ = {key: content(hub, key) for key in keys_of(hub)}
        hub.registry.database.close()
    return rows, bytes_, clients


def _filled_by_requests(hub: Hub, organisations: int, packages: int, versions: int) -> list[Filled]:
    found = [hub.organisation(user=f"user-of-{number}") for number in range(organisations)]
    clients = [_filled(each) for each in found]
    for client in clients:
        for package in range(packages):
            name = f"package-{package}"
            for version in range(versions):
                content = {"text": f"{version} für {package}", "owner": client.slug * (version % 2)}
                key = {"Idempotency-Key": f"{name}-{version}"}
                client.publish(name, package_zip(name, **content), headers=key, summary=SUMMARY)
            client.send_json("PUT", f"/api/packages/{name}/aliases/stable", {"version": 2})
            client.send_json("DELETE", f"/api/packages/{name}/versions/1", {"reason": "zu groß"})
        for number in range(3):
            client.publish_page("docs/manual", {"index.html": f"{number} of {client.slug}\n" * 50})
        client.publish_page("site", {"index.html": "the same for all", "a/ü.txt": "ü" * 100})
        client.delete("/api/pages/site")
        client.send_json("POST", "/api/pages/docs/manual/rollback", {"publication": 2})
        client.call("GET", "/api/packages/none", status=404)
        if HAS_ARTIFACTS:
            _fill_products(client)
    hub.registry.afterwards.settle()
    return clients


def rows_of(hub: Hub, left_out: frozenset[str] = LEFT_OUT) -> dict[str, list[bytes]]:
    """Every row of every table, as text."""
    hub.registry.afterwards.settle()
    with hub.registry.database.read() as db:
        return {
            str(table.name): list(lines_of(db, select(table).order_by(*table.primary_key)))
            for table in Base.metadata.sorted_tables
            if table.name not in left_out
        }


def assert_readable(hub: Hub, client: Client) -> int:
    """Every live version comes down with its hash, every live page is served; how many."""
    with hub.registry.database.read() as db:
        mine = db.scalar(select(Organisation.id).where(Organisation.slug == client.slug))
        versions = db.execute(
            select(Package.name, Version.number, Version.digest)
            .join(Version, Version.package_id == Package.id)
            .where(Version.organisation_id == mine, Version.tombstoned_at.is_(None))
        ).all()
        paths = db.scalars(select(LivePage.path).where(LivePage.organisation_id == mine)).all()
        artifacts = _artifacts(db, mine)
    for name, number, digest in versions:
        assert hashlib.sha256(client.download(name, number)).hexdigest() == digest
    for path in paths:
        assert client.visit(f"{path}/").body
    for name, identifier, digest in artifacts:
        assert isinstance(client, Filled)
        assert hashlib.sha256(client.admin.fetched(name, identifier)).hexdigest() == digest
    return len(versions) + len(paths) + len(artifacts)


def _artifacts(db: Session, organisation_id: int | None) -> Sequence[Row[Any]]:
    """Product, identifier and digest of each version."""
    if not HAS_ARTIFACTS:
        return ()
    from hubrepo.features.artifacts.models import Product, ProductVersion

    return db.execute(
        select(Product.name, ProductVersion.identifier, Blob.digest)
        .join(ProductVersion, ProductVersion.product_id == Product.id)
        .join(Blob, Blob.id == ProductVersion.blob_id)
        .where(ProductVersion.organisation_id == organisation_id)
    ).all()


def findings(hub: Hub, *, deep: bool = True) -> list[Finding]:
    """What a check of the hub finds."""
    hub.registry.afterwards.settle()
    registry = hub.registry
    run = Check(registry.database, registry.stores, registry.checks.values(), deep=deep)
    return list(run.run())


@contextmanager
def by_force(hub: Hub) -> Iterator[Session]:
    """A session that changes rows as a broken disk would: no foreign key is asked."""
    setting = "PRAGMA foreign_keys" if hub.is_on_sqlite else "SET session_replication_role"
    off, on = ("OFF", "ON") if hub.is_on_sqlite else ("replica", "origin")
    with hub.registry.database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        raw.execute(f"{setting} = {off}")
        try:
            with hub.registry.database.writing(bind=connection) as db:
                yield db
                db.commit()
        finally:
            raw.execute(f"{setting} = {on}")


def put(hub: Hub, key: str, content: bytes, store: str = "blobs") -> None:
    """Put bytes behind the back of the rows."""
    place = hub.registry.stores[store]
    stage = place.stage()
    stage.write(content)
    place.promote(stage, key)


def content(hub: Hub, key: str, store: str = "blobs") -> bytes:
    """The bytes at a key."""
    with hub.registry.stores[store].open(key) as file:
        return file.read()


def keys_of(hub: Hub, store: str = "blobs") -> list[str]:
    """What lies in a store."""
    return [stored.key for stored in hub.registry.stores[store].list()]


Known = TypeVar("Known", bound=Client)


def client_of(hub: Hub, client: Known) -> Known:
    """The same organisation and key, at another hub."""
    return replace(client, hub=hub)


def busy_publisher(client: Client) -> Callable[[int], None]:
    """Publishes versions of which it tombstones all but two, over and over with the same bytes."""

    def act(number: int) -> None:
        archive = package_zip("busy", text=f"{number % 5} of {client.slug}")
        last = client.publish("busy", archive)["version"]
        if last > 2:
            at = f"/api/packages/busy/versions/{last - 2}"
            client.send_json("DELETE", at, {"reason": "again"}, status="*")

    return act


def busy_swapper(client: Client) -> Callable[[int], None]:
    """Replaces a page, and forgets what was there before."""

    def act(number: int) -> None:
        last = client.publish_page("busy", {"index.html": str(number % 4)})["publication"]
        if last > 3:
            client.call("POST", f"/api/pages/busy/publications/{last - 2}/forget", status="*")

    return act


def busy_uploader(client: Filled) -> Callable[[int], None]:
    """Uploads versions of which it keeps two, over and over of the same bytes; the product goes too."""
    admin, holder = client.admin, client.holder

    def act(number: int) -> None:
        if number % 8 == 1:
            admin.delete("/product/delete/busy", status="*")
            admin.create("busy", status="*")
            admin.grant("busy", holder, "download", status="*")
        data = f"{number % 5} of {client.slug}\n".encode() * 50
        admin.put("busy", f"v{number}", data, status="*")
        if number % 8 > 2:
            admin.delete(f"/product/delete/busy/v{number - 2}", status="*")

    return act


def busy_writers(
    publisher: Client, swapper: Client, uploader: Filled
) -> list[Callable[[int], None]]:
    """One for each feature of the hub that keeps bytes."""
    uploaders = [busy_uploader(uploader)] if HAS_ARTIFACTS else []
    return [busy_publisher(publisher), busy_swapper(swapper), *uploaders]


def busy_collector(hub: Hub) -> Callable[[int], None]:
    """Does what `hubrepo gc --grace 0` does."""
    registry = hub.registry

    def act(_number: int) -> None:
        tidy(registry)
        adopt_orphans(registry.database, registry.stores, now())
        sweep(registry.database, registry.stores)

    return act


@contextmanager
def working(*acts: Callable[[int], object]) -> Iterator[None]:
    """Do each act over and over, in a thread of its own, until the block ends; then say what failed.

    That the database was busy is no failure: a slow machine has too much to do.
    """
    over = threading.Event()

    def work(act: Callable[[int], object]) -> None:
        for number in count(1):
            try:
                act(number)
            except Exception as error:
                if "503" not in str(error) and "locked" not in str(error):
                    raise
            if over.is_set():
                return

    with ThreadPoolExecutor(len(acts)) as pool:
        all_work = [pool.submit(work, act) for act in acts]
        try:
            yield
        finally:
            over.set()
    for each in all_work:
        each.result()
