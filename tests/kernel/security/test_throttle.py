"""Failed attempts are counted by address and by prefix, over all processes, and soon cost 429."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from hubrepo.kernel.base import now
from hubrepo.kernel.security.models import FailureCount
from hubrepo.kernel.security.throttle import DatabaseStorage, network_of
from tests.support.contract import assert_refused
from tests.support.hub import Hub

TOO_MANY = "too many failed attempts, wait a minute"


@pytest.fixture
def hubs(tmp_path, monkeypatch):
    """Two processes of one hub, as far as a throttle can tell: nothing is shared but the database."""
    moment = now()
    monkeypatch.setattr("hubrepo.kernel.security.throttle.now", lambda: moment)
    monkeypatch.setattr("hubrepo.kernel.security.throttle.time", moment.timestamp)
    limits = {"security__failures_per_minute": "4", "security__key_failures_per_minute": "3"}
    made = [Hub.below(tmp_path, **limits) for _ in range(2)]
    yield made
    for each in made:
        each.registry.database.close()


def attempt(hub, key, address="192.0.2.1"):
    headers = {"Authorization": f"Api-Key {key}"}
    app = hub.app(REMOTE_ADDR=address)
    response = app.get("/api/packages", headers=headers, expect_errors=True)
    hub.registry.afterwards.settle()
    return response


def wrong(client):
    """A wrong secret for the key's prefix."""
    return client.key[:13] + "A" * 43


def test_an_address_gets_429_at_all_processes_and_others_and_good_keys_do_not(hubs):
    hub, _ = hubs
    acme = hub.organisation()
    found = [attempt(each, "x").status_int for each in hubs * 3]
    assert found == [401] * 4 + [429] * 2
    refused = attempt(hub, "x")
    assert_refused(refused, 429, TOO_MANY)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert attempt(hub, "x", "192.0.2.2").status_int == 401
    assert attempt(hub, acme.key).status_int == 200


def test_a_prefix_gets_429_from_wherever_the_attempts_come_whether_anybody_has_it_or_not(hubs):
    hub, _ = hubs
    acme = hub.organisation()
    for key in (wrong(acme), "kpf_00000000_" + "A" * 43):
        answers = [
            attempt(hubs[number % 2], key, f"192.0.2.{number}").status_int for number in range(5)
        ]
        assert answers == [401, 401, 401, 429, 429]
    assert attempt(hub, acme.key).status_int == 200


def test_after_a_minute_it_is_forgotten_and_no_row_stays(hubs, monkeypatch):
    hub, _ = hubs
    for number in range(20):
        attempt(hub, f"kpf_{number:08x}_" + "A" * 43, f"192.0.2.{number}")
    later = now() + timedelta(minutes=1, seconds=1)
    monkeypatch.setattr("hubrepo.kernel.security.throttle.now", lambda: later)
    attempt(hub, "x", "192.0.2.99")
    with hub.registry.database.read() as db:
        assert len(db.scalars(select(FailureCount.counter)).all()) == 1


@pytest.mark.parametrize("limit", ["failures_per_minute", "key_failures_per_minute"])
def test_without_the_other_limit_only_one_is_counted(tmp_path, limit):
    hub = Hub.below(tmp_path, **{f"security__{limit}": "1"})
    acme = hub.organisation()
    statuses = [attempt(hub, wrong(acme), f"198.51.{n}.1").status_int for n in range(3)]
    statuses += [attempt(hub, "x").status_int for _ in range(3)]
    assert statuses.count(429) == 2
    hub.registry.database.close()


def test_an_address_stands_for_its_network():
    for address, network in {
        "192.0.2.1": "192.0.2.1",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
        "2001:db8:1:2:ffff::1": "2001:db8:1:2::/64",
        "::ffff:192.0.2.1": "192.0.2.1",
        "": "",
        "x" * 999: "x" * 64,
    }.items():
        assert network_of(address) == network


@pytest.mark.backend
def test_counts_of_many_at_once_add_up(hub):
    storage = DatabaseStorage(hub.registry.database)

    def count():
        for _ in range(10):
            storage.incr("LIMITER/x", 60)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert storage.get("LIMITER/x") == 40
    assert 0 < storage.get_expiry("LIMITER/x") - now().timestamp() <= 60
    storage.clear("LIMITER/x")
    assert storage.get("LIMITER/x") == 0
    assert storage.check()
