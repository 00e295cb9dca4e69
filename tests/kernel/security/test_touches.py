"""When a key was last used is written down at most once a minute, by whichever process."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select

from hubrepo.kernel.accounts import ApiKey
from tests.support.hub import Hub


def uses(hub, prefix):
    with hub.registry.database.read() as db:
        return db.scalar(select(ApiKey.last_used_at).where(ApiKey.prefix == prefix))


@pytest.mark.backend
def test_many_requests_within_a_minute_write_once(tmp_path):
    hubs = [Hub.below(tmp_path) for _ in range(2)]
    acme = hubs[0].organisation()
    changed = []

    def note(_connection, cursor, statement, *_):
        if statement.startswith("UPDATE accounts_api_key"):
            changed.append(cursor.rowcount)

    for hub in hubs:
        event.listen(hub.registry.database.engine, "after_cursor_execute", note)
    for hub in hubs * 10:
        hub.app().get("/api/packages", headers={"Authorization": f"Api-Key {acme.key}"})
    for hub in hubs:
        hub.registry.afterwards.settle()
    assert sum(changed) == 1
    assert len(changed) <= 2
    for hub in hubs:
        hub.registry.database.close()


def test_a_minute_later_it_is_written_again(hub):
    acme = hub.organisation()
    prefix = acme.key[4:12]
    acme.get("/api/packages")
    hub.registry.afterwards.settle()
    first, clock = uses(hub, prefix), hub.registry.clock
    try:
        for seconds, moved in ((59, False), (61, True)):
            hub.registry.clock = lambda moment=first + timedelta(seconds=seconds): moment
            acme.get("/api/packages")
            hub.registry.afterwards.settle()
            assert (uses(hub, prefix) != first) is moved
    finally:
        hub.registry.clock = clock
