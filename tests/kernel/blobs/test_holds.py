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
from tests.support.filled import findings, keys_of, put

pytestmark = pytest.mark.backend


@pytest.fixture
def acme(hub):
    client = hub.organisation()
    client.publish("widget")
    return client


def holds(database):
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(Hold))


def ends_in(database, seconds):
    with database.write() as db:
        db.execute(update(Hold).values(until=now() + timedelta(seconds=seconds)))


def release(acme):
    at = "/api/packages/widget/versions/1"
    acme.send_json("DELETE", at, {"reason": "leaked"}, status=200)


def test_nothing_is_swept_until_the_last_hold_ends(hub, acme, database, stores):
    with hold(database, "one"):
        with hold(database, "two"):
            release(acme)
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
    with database.write() as db:
        db.add(Hold(reason="of one that was killed", until=now() + timedelta(minutes=59)))
    release(acme)
    assert sweep(database, stores) == 0
    ends_in(database, -1)
    assert sweep(database, stores) == 1
    with hold(database, "the next one"):
        assert holds(database) == 1, "what lapsed is cleared away"


def test_a_hold_is_made_longer_while_it_is_used_unless_it_lapsed(database, monkeypatch):
    """A copy of hours may meet somebody who writes for long; there is an hour to come back."""
    monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))

    def busy():
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    with hold(database, "test") as held:
        ends_in(database, 30)
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
        ends_in(database, -1)
        with pytest.raises(HoldLapsed, match="start again"):
            held.renew()


def test_orphans_are_counted_and_wait_like_all_others(hub, acme, database, stores):
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
