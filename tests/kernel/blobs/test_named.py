"""Pages may have a store of their own, get one later, and lose it again."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from hubrepo.kernel.base import Misconfigured, now
from hubrepo.kernel.blobs import Blob, adopt_orphans, copy_store, doom, hold, key_of, sweep, tidy
from hubrepo.kernel.blobs.stores import StoreFull
from tests.support.archives import make_zip, manifest
from tests.support.filled import assert_readable, client_of, content, findings, keys_of, put
from tests.support.hub import Hub

pytestmark = pytest.mark.backend


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
    members = {
        "package.toml": manifest("both"),
        "pages.toml": '[publish]\npath = "both"\n',
        "index.html": "both",
    }
    acme.publish("both", make_zip(members))
    return acme.download("both", 1)


def tombstone(acme):
    reason = {"reason": "leaked"}
    acme.send_json("DELETE", "/api/packages/both/versions/1", reason, status=200)


class TestTheSameBytesInBoth:
    """A page and a version of a package that are the same archive."""

    @pytest.fixture
    def hub(self, open_hub, pages):
        return open_hub(pages=pages)

    @pytest.fixture
    def acme(self, hub):
        return hub.organisation()

    @pytest.fixture
    def archive(self, hub, acme):
        archive = archive_of_both(acme)
        acme.upload("/api/pages", archive)
        assert assert_readable(hub, acme) == 2
        return archive

    @pytest.mark.usefixtures("archive")
    def test_are_one_blob_in_the_main_store_that_outlives_the_version(self, hub, acme):
        assert (len(keys_of(hub)), keys_of(hub, "pages")) == (1, [])
        tombstone(acme)
        assert collect(hub) == 0
        assert acme.visit("both/").text == "both"
        assert findings(hub) == []

    def test_outlive_the_page(self, hub, acme, archive):
        acme.publish_page("both", {"index.html": "next"})
        acme.call("POST", "/api/pages/both/publications/1/forget", status=204)
        assert collect(hub) == 0
        assert acme.download("both", 1) == archive
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
