"""While somebody holds them, released bytes stay."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import adopt_orphans, hold, key_of, sweep, tidy
from hubrepo.kernel.blobs.holds import HoldLapsed
from hubrepo.kernel.blobs.models import Hold
from tests.support.filled import EVERY_DATABASE, findings, keys_of, make_hub, put


@pytest.fixture(params=EVERY_DATABASE)
def hub(request, tmp_path):
    return make_hub(request, tmp_path, "memory", request.param)


@pytest.fixture
def acme(hub):
    client = hub.organisation()
    client.publish("widget")
    return client


def holds(hub):
    with hub.registry.database.read() as db:
        return db.scalar(select(func.count()).select_from(Hold))


def release(acme, number=1):
    at = f"/api/packages/widget/versions/{number}"
    acme.send_json("DELETE", at, {"reason": "leaked"}, status=200)


def test_nothing_is_swept_while_a_hold_lasts_and_all_is_afterwards(hub, acme):
    database, stores = hub.registry.database, hub.registry.stores
    with hold(database, "test"):
        release(acme)
        assert tidy(hub.registry)["released blobs"] == 0
        assert tidy(hub.registry, dry_run=True)["released blobs"] == 0
        assert len(keys_of(hub)) == 1
        assert findings(hub) == []
    assert holds(hub) == 0
    assert sweep(database, stores) == 1
    assert keys_of(hub) == []


def test_several_hold_until_the_last_one_ends(hub, acme):
    database, stores = hub.registry.database, hub.registry.stores
    with hold(database, "one"):
        with hold(database, "two"):
            release(acme)
        assert sweep(database, stores) == 0
    assert sweep(database, stores) == 1


def test_a_hold_ends_with_an_error_too(hub):
    with pytest.raises(ZeroDivisionError), hold(hub.registry.database, "test"):
        raise ZeroDivisionError
    assert holds(hub) == 0


def test_a_hold_of_a_dead_process_lapses(hub, acme):
    database, stores = hub.registry.database, hub.registry.stores
    with database.write() as db:
        db.add(Hold(reason="of one that was killed", until=now() + timedelta(minutes=59)))
    release(acme)
    assert sweep(database, stores) == 0
    with database.write() as db:
        db.execute(update(Hold).values(until=now() - timedelta(seconds=1)))
    assert sweep(database, stores) == 1
    with hold(database, "the next one"):
        assert holds(hub) == 1, "what lapsed is cleared away"


def test_a_hold_is_made_longer_while_it_is_used(hub, monkeypatch):
    monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))
    with hold(hub.registry.database, "test") as held:
        with hub.registry.database.write() as db:
            db.execute(update(Hold).values(until=now() + timedelta(seconds=30)))
        held.renew()
        with hub.registry.database.read() as db:
            assert db.scalar(select(Hold.until)) > now() + timedelta(minutes=50)


def test_one_that_lapsed_cannot_be_made_longer(hub, monkeypatch):
    monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))
    with hold(hub.registry.database, "test") as held:
        with hub.registry.database.write() as db:
            db.execute(update(Hold).values(until=now() - timedelta(seconds=1)))
        with pytest.raises(HoldLapsed, match="start again"):
            held.renew()


def test_a_busy_moment_does_not_end_it(hub, monkeypatch):
    """A copy of hours may meet somebody who writes for long; there is an hour to come back."""
    monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))
    database = hub.registry.database
    with hold(database, "test") as held:
        with monkeypatch.context() as patch:
            patch.setattr(database, "write", busy)
            held.renew()
            patch.setattr("hubrepo.kernel.blobs.holds.LASTS", timedelta(0))
            with pytest.raises(OperationalError):
                held.renew()
        held.renew()


def busy():
    raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))


def test_orphans_are_counted_and_wait_like_all_others(hub, acme):
    database, stores = hub.registry.database, hub.registry.stores
    with database.read() as db:
        guid = db.scalar(select(Organisation.guid).where(Organisation.slug == acme.slug)).hex
    key = key_of(guid, hashlib.sha256(b"orphan").hexdigest())
    put(hub, key, b"orphan")
    with hold(database, "test"):
        assert adopt_orphans(database, stores, now()).adopted == 1
        assert sweep(database, stores) == 0
        assert key in keys_of(hub)
    assert sweep(database, stores) == 1
    assert key not in keys_of(hub)
