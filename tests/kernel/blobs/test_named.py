"""Pages may have a store of their own, or lose it; a store without the bytes it should have stops the start."""

import hashlib
import shutil
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select

import hubrepo
from hubrepo import cli
from hubrepo.kernel.base import Misconfigured, now
from hubrepo.kernel.blobs import Blob, adopt_orphans, copy_store, doom, hold, key_of, sweep, tidy
from hubrepo.kernel.blobs.stores import DiskStore, StoreFull, StoreUnavailable
from tests.support.archives import make_zip, manifest
from tests.support.filled import assert_readable, client_of, content, findings, keys_of, put, s3_url
from tests.support.hub import Hub


@pytest.fixture
def open_hub(tmp_path):
    """The hub in this folder, with a store for pages or without."""
    opened = []

    def make(**settings):
        opened.append(Hub.below(tmp_path, **settings))
        return opened[-1]

    yield make
    for hub in opened:
        hub.registry.database.close()


@pytest.fixture
def pages(tmp_path):
    return f"osfs://{tmp_path}/pages"


def collect(hub):
    """What `hubrepo gc --grace 0` does; how many blobs it found without a row."""
    tidy(hub.registry)
    found = adopt_orphans(hub.registry.database, hub.registry.stores, now())
    sweep(hub.registry.database, hub.registry.stores)
    return found.adopted


@pytest.mark.backend
def test_a_page_lies_in_the_store_of_pages_is_forgotten_there_and_so_are_orphans(open_hub, pages):
    hub = open_hub(pages=pages)
    acme = hub.organisation()
    acme.publish("widget")
    for number in range(2):
        acme.publish_page("site", {"index.html": str(number)})
    assert (len(keys_of(hub)), len(keys_of(hub, "pages"))) == (1, 2)
    assert assert_readable(hub, acme) == 2
    acme.call("POST", "/api/pages/site/publications/1/forget", status=204)
    (kept,) = keys_of(hub, "pages")
    assert findings(hub) == []
    key = key_of(kept.partition("/")[0], hashlib.sha256(b"orphan").hexdigest())
    put(hub, key, b"orphan", "pages")
    assert {(each.kind, each.subject) for each in findings(hub)} == {("unknown", key)}
    assert collect(hub) == 1
    assert findings(hub) == []
    assert (len(keys_of(hub)), keys_of(hub, "pages")) == (1, [kept])


@pytest.mark.backend
def test_pages_stay_readable_when_they_get_a_store_and_when_they_lose_it(open_hub, pages):
    hub = open_hub()
    acme = hub.organisation()
    acme.publish("widget")
    acme.publish_page("old", {"index.html": "old"})
    hub = open_hub(pages=pages)
    acme = client_of(hub, acme)
    assert acme.visit("old/").text == "old"
    acme.publish_page("new", {"index.html": "new"})
    assert (len(keys_of(hub)), len(keys_of(hub, "pages"))) == (2, 1)
    assert findings(hub) == []
    assert collect(hub) == 0
    copy_store(hub.registry.stores["pages"], hub.registry.stores.main)
    hub = open_hub()
    acme = client_of(hub, acme)
    assert assert_readable(hub, acme) == 3
    assert findings(hub) == []
    acme.publish_page("new", {"index.html": "next"})
    assert collect(hub) == 0
    assert assert_readable(hub, acme) == 3


def test_one_place_is_not_taken_for_two_and_a_wrong_one_is_named_by_its_line(open_hub, tmp_path):
    for folder in ("blobs", "x"):
        (tmp_path / folder).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "blobs")
    (tmp_path / "file").write_text("")
    for place in ("blobs", "./x/../blobs", "link"):
        with pytest.raises(Misconfigured, match="is the same place as"):
            open_hub(pages=f"osfs://{tmp_path}/{place}")
    with pytest.raises(Misconfigured, match=r"hubrepo\.pages: .* cannot be written"):
        open_hub(pages=f"osfs://{tmp_path}/file")
    assert [each.name for each in (tmp_path / "blobs").iterdir()] == [".stage"]


def archive_of_both(acme) -> bytes:
    """A version of a package, whose archive is one of a page too."""
    page = {"pages.toml": '[publish]\npath = "both"\n', "index.html": "both"}
    acme.publish("both", make_zip({"package.toml": manifest("both"), **page}))
    return acme.download("both", 1)


def tombstone(acme):
    reason = {"reason": "leaked"}
    acme.send_json("DELETE", "/api/packages/both/versions/1", reason, status=200)


@pytest.mark.backend
class TestTheSameBytesInBoth:
    """A page and a version of a package that are the same archive."""

    @pytest.fixture
    def hub(self, open_hub, pages):
        return open_hub(pages=pages)

    @pytest.fixture
    def archive(self, hub, acme):
        archive = archive_of_both(acme)
        acme.upload("/api/pages", archive)
        assert assert_readable(hub, acme) == 2
        return archive

    def test_are_one_blob_in_the_main_store_that_outlives_either(self, hub, acme, archive):
        assert (len(keys_of(hub)), keys_of(hub, "pages")) == (1, [])
        acme.publish_page("both", {"index.html": "next"})
        acme.call("POST", "/api/pages/both/publications/1/forget", status=204)
        assert collect(hub) == 0
        assert acme.download("both", 1) == archive
        acme.upload("/api/pages", archive)
        tombstone(acme)
        assert collect(hub) == 0
        assert acme.visit("both/").text == "both"
        assert findings(hub) == []

    def test_that_were_a_page_first_move_to_the_main_store(self, hub, acme):
        """At the level of rows: no package has the very bytes of a page that was there before."""
        acme.publish_page("site", {"index.html": "site"})
        (key,) = keys_of(hub, "pages")
        # As `BlobService.put` leaves it for a package.
        put(hub, key, content(hub, key, "pages"))
        with hub.registry.database.write() as db:
            db.scalars(select(Blob)).one().store = "blobs"
        assert acme.visit("site/").text == "site"
        assert {(each.kind, each.subject) for each in findings(hub)} == {("unknown", key)}
        database, stores = hub.registry.database, hub.registry.stores
        before = now() - timedelta(hours=1)
        assert adopt_orphans(database, stores, before).adopted == 0, "too young"
        with hold(database, "test"):
            for dry_run in (True, False):
                assert adopt_orphans(database, stores, now(), dry_run=dry_run).adopted == 0
        assert adopt_orphans(database, stores, now(), dry_run=True).adopted == 1
        assert collect(hub) == 1
        assert (keys_of(hub), keys_of(hub, "pages")) == ([key], [])
        assert acme.visit("site/").text == "site"
        assert findings(hub) == []

    def test_that_a_sweep_removed_half_way_are_put_again_for_a_page(self, hub, acme):
        """It removed the bytes, and its commit failed: the row in the main store has none."""
        archive = archive_of_both(acme)
        with hold(hub.registry.database, "test"):
            tombstone(acme)
        (key,) = keys_of(hub)
        hub.registry.stores.main.delete(key)
        acme.upload("/api/pages", archive)
        assert acme.visit("both/").text == "both"
        assert findings(hub) == []
        assert (keys_of(hub), keys_of(hub, "pages")) == ([key], [])

    def test_that_were_released_by_one_of_two_stay_where_they_are(self, hub, acme, archive):
        with hub.registry.database.write() as db:
            doom(db, list(db.scalars(select(Blob.id))), now())
        acme.upload("/api/pages", archive)
        assert (len(keys_of(hub)), keys_of(hub, "pages")) == (1, [])
        assert acme.download("both", 1) == archive
        assert findings(hub) == []


def test_a_failed_move_to_the_main_store_leaves_no_stage(open_hub, pages, tmp_path, monkeypatch):
    acme = open_hub(pages=pages).organisation()
    archive = archive_of_both(acme)

    def fail(_source, stage):
        stage.write(b"some of it")
        raise StoreFull

    monkeypatch.setattr("hubrepo.kernel.blobs.services.shutil.copyfileobj", fail)
    acme.upload("/api/pages", archive, status=507)
    for store in ("blobs", "pages"):
        assert list((tmp_path / store / ".stage").iterdir()) == []


def test_the_only_copy_is_never_taken_for_surplus(open_hub, pages, tmp_path):
    """A line that names another store than it did makes rows wrong about where their bytes are."""
    hub = open_hub(pages=pages)
    acme = hub.organisation()
    acme.publish_page("site", {"index.html": "site"})
    copy_store(hub.registry.stores["pages"], hub.registry.stores.main)
    strange = open_hub(pages=f"osfs://{tmp_path}/elsewhere")
    assert collect(strange) == 0
    back = open_hub()
    assert client_of(back, acme).visit("site/").text == "site"
    assert findings(back) == []


@pytest.fixture
def settings(tmp_path):
    """Those of a hub that has a package and a page, each in a store of its own."""
    hub = Hub.below(tmp_path, pages=f"osfs://{tmp_path}/pages")
    acme = hub.organisation()
    acme.publish("widget")
    acme.publish_page("site")
    hub.registry.database.close()
    return dict(hub.settings)


def start(settings):
    hubrepo.main({}, **settings).registry.database.close()


def refused(settings, line="hubrepo.blobs"):
    with pytest.raises(SystemExit, match=f"^hubrepo cannot start: {line} names a place that has"):
        start(settings)


def test_a_disk_that_is_not_mounted_stops_the_start_until_it_is_back(settings, tmp_path):
    """Commands work all the same."""
    ini = tmp_path / "hub.ini"
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    ini.write_text(f"[app:main]\nuse = egg:hubrepo\n{lines}")

    def run(*arguments):
        return CliRunner().invoke(cli.main, ["-c", str(ini), *arguments])

    start(settings)
    assert run("backup", str(tmp_path / "copy")).exit_code == 0
    shutil.rmtree(tmp_path / "pages")
    refused(settings, "hubrepo.pages")
    shutil.rmtree(tmp_path / "blobs")
    refused(settings)
    assert ": 2 missing." in run("check").output
    copied = run("copy-store", f"osfs://{tmp_path}/copy/blobs", f"osfs://{tmp_path}/blobs")
    assert copied.exit_code == 0, copied.output
    del settings["hubrepo.pages"]
    start(settings)


def test_another_place_is_not_right_because_something_lies_there(settings, tmp_path):
    """As with a prefix that is cut short: what lies there is of nobody here."""
    shutil.copytree(tmp_path / "blobs", tmp_path / "above" / "blobs")
    refused(settings | {"hubrepo.blobs": f"osfs://{tmp_path}/above"})


@pytest.mark.long
def test_a_prefix_on_s3_that_is_misspelled_stops_the_start(settings, s3):
    refused(settings | {"hubrepo.blobs": s3_url(s3)})


def test_memory_is_empty_at_every_start_and_a_hub_with_nothing_starts_anywhere(settings, tmp_path):
    del settings["hubrepo.pages"]
    start(settings | {"hubrepo.blobs": "mem://"})
    hub = Hub.below(tmp_path / "empty")
    hub.organisation()
    hub.registry.database.close()
    shutil.rmtree(tmp_path / "empty" / "blobs")
    start(dict(hub.settings))


@pytest.mark.backend
def test_released_bytes_may_be_gone_and_those_of_some_organisations(hub, database, stores):
    clients = [hub.organisation() for _ in range(3)]
    for acme in clients:
        acme.publish("widget")
    reason = {"reason": "leaked"}
    for _ in clients[1:]:
        stores.look_for_bytes(database)
        stores.main.delete(next(stores.main.list()).key)
    stores.look_for_bytes(database)
    stores.main.delete(next(stores.main.list()).key)
    with pytest.raises(Misconfigured):
        stores.look_for_bytes(database)
    for acme in clients:
        acme.send_json("DELETE", "/api/packages/widget/versions/1", reason, status=200)
    stores.look_for_bytes(database)


def test_what_is_slow_at_that_moment_is_no_wrong_place(settings, monkeypatch):
    def silent(*_):
        raise StoreUnavailable

    monkeypatch.setattr(DiskStore, "list", silent)
    start(settings)
