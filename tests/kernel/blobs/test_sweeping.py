"""Released bytes are removed without a lock, and never those that somebody puts again or holds."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError

import hubrepo
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, StoreUnavailable, doom, hold, sweep, tidy
from hubrepo.kernel.blobs.holds import HoldLapsed
from hubrepo.kernel.blobs.models import Hold
from hubrepo.kernel.blobs.stores import MemoryStore
from hubrepo.kernel.blobs.sweeping import LEAVING_LASTS
from tests.support.archives import package_zip, page_zip
from tests.support.contract import statements
from tests.support.filled import findings, keys_of
from tests.support.hub import Hub
from tests.support.publishers import until

pytestmark = pytest.mark.backend

TEXT = "the same again"
# Made once, for an archive tells when it was made.
ARCHIVE = page_zip("site", {"index.html": TEXT})


def fail(*_args, **_options):
    raise StoreUnavailable


def forget_site(acme):
    """Leave nothing of a page whose archive will come again."""
    acme.delete("/api/pages/site")
    acme.call("POST", "/api/pages/site/publications/1/forget", status=204)


def tombstone(acme):
    reason = {"reason": "leaked"}
    acme.send_json("DELETE", "/api/packages/widget/versions/1", reason, status=200)


def long_ago(database):
    """Let holds, and the sweeps that mark blobs as leaving, have begun long ago."""
    with database.write() as db:
        db.execute(update(Hold).values(until=now() - timedelta(seconds=1)))
        db.execute(update(Blob).values(leaving_at=now() - LEAVING_LASTS - timedelta(seconds=1)))


def test_nobody_waits_while_bytes_are_removed_but_the_same(hub, acme, stores, monkeypatch):
    """Not even on SQLite, where whoever writes holds off all others."""
    acme.upload("/api/pages", ARCHIVE)
    real, answers = stores.main.delete, []

    def delete(key):
        if not answers:
            answers.append(acme.upload("/api/pages", ARCHIVE, status=503))
            acme.publish("widget")
        real(key)

    monkeypatch.setattr(stores.main, "delete", delete)
    forget_site(acme)
    (answer,) = answers
    assert answer.headers["Retry-After"] == "1"
    assert "being removed" in answer.json["detail"]
    acme.upload("/api/pages", ARCHIVE)
    assert acme.visit("site/").text == TEXT
    assert acme.download("widget", 1)
    assert findings(hub) == []


@pytest.mark.parametrize("is_remote", [True, False])
def test_bytes_that_a_remote_store_may_still_remove_are_not_put_for_a_while(
    hub, acme, database, stores, monkeypatch, is_remote
):
    """A request to remove them may have been lost on the way, or may be carried out late; not by a disk."""
    acme.upload("/api/pages", ARCHIVE)
    monkeypatch.setattr(type(stores.main), "is_remote", is_remote)
    with monkeypatch.context() as patch:
        patch.setattr(stores.main, "delete", fail)
        forget_site(acme)
    if is_remote:
        acme.upload("/api/pages", ARCHIVE, status=503)
        assert sweep(database, stores) == 0
        long_ago(database)
    acme.upload("/api/pages", ARCHIVE)
    assert acme.visit("site/").text == TEXT
    assert findings(hub) == []


def test_one_that_died_on_the_way_is_finished_later(hub, acme, database, stores, monkeypatch):
    acme.publish("widget")

    class Died(BaseException):
        pass

    def die(_key):
        raise Died

    with hold(database, "test"):
        tombstone(acme)
    with monkeypatch.context() as patch:
        patch.setattr(stores.main, "delete", die)
        with pytest.raises(Died):
            sweep(database, stores)
    assert findings(hub) == []
    assert sweep(database, stores) == 0
    long_ago(database)
    assert sweep(database, stores) == 1
    assert keys_of(hub) == []


RELEASED = 8


@pytest.fixture
def released(hub, acme, database, monkeypatch):
    """Pages that are forgotten, and their bytes there still; and a package to release. Sweeps stop soon."""
    monkeypatch.setattr("hubrepo.kernel.blobs.sweeping.SWEEP_AT_ONCE", 3)
    monkeypatch.setattr("hubrepo.kernel.blobs.services.SHORT", 0)
    for number in range(RELEASED):
        acme.publish_page(f"page-{number}", {"index.html": str(number)})
    acme.publish("widget")
    with hold(database, "test"):
        for number in range(RELEASED):
            acme.delete(f"/api/pages/page-{number}")
            acme.call("POST", f"/api/pages/page-{number}/publications/1/forget", status=204)


@pytest.fixture
def go_on(hub):
    """Set, it lets what is done after answers begin."""
    go_on = threading.Event()
    hub.registry.afterwards.call("wait", partial(go_on.wait, 30))
    yield go_on
    go_on.set()


@pytest.mark.usefixtures("released")
def test_an_answer_waits_for_some_of_a_sweep_and_the_rest_takes_turns(hub, acme, go_on):
    later = hub.registry.afterwards
    tombstone(acme)
    seen = [len(keys_of(hub))]
    later.call("look", lambda: seen.append(len(keys_of(hub))))
    go_on.set()
    later.settle()
    assert RELEASED + 1 > seen[0] > seen[1] > 0
    assert keys_of(hub) == []


@pytest.mark.usefixtures("released")
def test_the_rest_leaves_off_when_the_process_ends(hub, acme, stores, monkeypatch, go_on):
    """At once, not at the end of what it has begun; and nobody has to wait for what it leaves."""
    later, removed, real = hub.registry.afterwards, [], stores.main.delete
    tombstone(acme)

    def delete(key):
        later.end()
        removed.append(key)
        real(key)

    monkeypatch.setattr(stores.main, "delete", delete)
    go_on.set()
    later.settle()
    assert len(removed) == 1
    assert findings(hub) == []
    assert sweep(hub.registry.database, stores) > 0


@pytest.mark.usefixtures("released")
def test_a_start_sweeps_for_some_seconds_and_serves_even_if_it_cannot(hub, monkeypatch, caplog):
    monkeypatch.setattr(hubrepo, "TIDYING", 0.0)
    before = len(keys_of(hub))
    hubrepo.tidy_at_start(hub.registry)
    assert before - len(keys_of(hub)) == 2 * 3
    tidy(hub.registry)
    assert len(keys_of(hub)) == 1
    monkeypatch.setattr(hub.registry.stores.main, "sweep_stages", fail)
    with pytest.raises(StoreUnavailable):
        tidy(hub.registry)
    hubrepo.tidy_at_start(hub.registry)
    assert "could not tidy" in caplog.text


def test_bytes_are_counted_once_they_are_put(hub, acme, stores, monkeypatch):
    """Who counts holds the organisation's row, which others need, until the commit."""
    real, counted = stores.main.promote, []

    def promote(stage, key):
        counted.append(updates())
        real(stage, key)

    def updates():
        return sum(each.startswith("UPDATE accounts_organisation") for each in asked)

    monkeypatch.setattr(stores.main, "promote", promote)
    with statements(hub) as asked:
        acme.publish("widget")
    assert (counted, updates()) == ([0], 1)
    assert findings(hub) == []


def test_a_failing_store_keeps_nothing_in_another(hub, acme, database, stores, monkeypatch):
    stores.add("pages", MemoryStore(), "hubrepo.pages")
    acme.publish("widget")
    acme.upload("/api/pages", ARCHIVE)
    with hold(database, "test"):
        tombstone(acme)
        forget_site(acme)
    with monkeypatch.context() as patch:
        patch.setattr(stores.main, "delete", fail)
        assert sweep(database, stores) == 1
    assert (len(keys_of(hub)), keys_of(hub, "pages")) == (1, [])
    long_ago(database)
    assert sweep(database, stores) == 1
    assert keys_of(hub) == []


def holds(database):
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(Hold))


def test_nothing_is_swept_until_the_last_hold_ends(hub, acme, database, stores):
    acme.publish("widget")
    with hold(database, "one"):
        with hold(database, "two"):
            tombstone(acme)
            for dry_run in (False, True):
                assert tidy(hub.registry, dry_run=dry_run)["released blobs"] == 0
            assert findings(hub) == []
        assert sweep(database, stores) == 0
        assert len(keys_of(hub)) == 1
    assert holds(database) == 0
    assert sweep(database, stores) == 1
    assert keys_of(hub) == []
    with pytest.raises(ZeroDivisionError), hold(database, "test"):
        raise ZeroDivisionError
    assert holds(database) == 0


def test_a_hold_of_a_dead_process_lapses(acme, database, stores):
    acme.publish("widget")
    with database.write() as db:
        db.add(Hold(reason="of one that was killed", until=now() + timedelta(minutes=59)))
    tombstone(acme)
    assert sweep(database, stores) == 0
    long_ago(database)
    assert sweep(database, stores) == 1
    with hold(database, "the next one"):
        assert holds(database) == 1, "what lapsed is cleared away"


def test_a_hold_is_made_longer_while_it_is_used_unless_it_lapsed(database, monkeypatch):
    """A copy of hours may meet somebody who writes for long; there is an hour to come back."""
    monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))

    def busy():
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    with hold(database, "test") as held:
        with database.write() as db:
            db.execute(update(Hold).values(until=now() + timedelta(seconds=30)))
        held.renew()
        with database.read() as db:
            assert db.scalar(select(Hold.until)) > now() + timedelta(minutes=50)
        with monkeypatch.context() as patch:
            patch.setattr(database, "write", busy)
            held.renew()
            patch.setattr("hubrepo.kernel.blobs.holds.LASTS", timedelta(0))
            with pytest.raises(OperationalError):
                held.renew()
        held.renew()
        long_ago(database)
        with pytest.raises(HoldLapsed, match="start again"):
            held.renew()


@pytest.mark.long
def test_those_who_let_go_of_the_same_blobs_lock_them_in_one_order(tmp_path, postgresql):
    """Whoever waits for the first has not got the second yet, also if it lies before the first."""
    hub = Hub.below(tmp_path / "hub", blobs="mem://", database=postgresql.fresh())
    acme, database = hub.organisation(), hub.registry.database
    for number in (1, 2):
        acme.publish("widget", package_zip("widget", text=str(number)))
    with database.read() as db:
        first, second = db.scalars(select(Blob.id).order_by(Blob.id)).all()
    with database.write() as db:
        # What is written anew lies at the end.
        db.execute(update(Blob).where(Blob.id == first).values(created_at=now()))

    def let_go():
        with database.write() as db:
            doom(db, [second, first], now())

    def is_waited_for():
        with database.read() as db:
            return db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    with ThreadPoolExecutor(1) as other:
        with database.write() as db:
            db.execute(select(Blob.id).where(Blob.id == first).with_for_update())
            waiting = other.submit(let_go)
            until(is_waited_for)
            db.execute(select(Blob.id).where(Blob.id == second).with_for_update(nowait=True))
        waiting.result()
    database.close()
