"""Publishers, and those who remove, at one moment: numbers have no gap, and nobody gets a 5xx."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hubrepo.kernel.blobs import sweep
from tests.support.archives import package_zip, read_zip
from tests.support.hub import Client
from tests.support.races import at_once

pytestmark = pytest.mark.backend

CROWD = 8
EACH = 4
VERSIONS = "/api/packages/anvil/versions"


@pytest.fixture
def clients(acme):
    """Callers of their own, with one key."""
    return [Client(acme.hub, acme.slug, acme.key) for _ in range(CROWD)]


def publish(client, archive, **fields):
    return client.upload(VERSIONS, archive, fields, status="*")


def listed(acme):
    """The versions of the package, by number; live ones are what their hash says."""
    versions = {each["version"]: each for each in acme.get(VERSIONS).json}
    for number, version in versions.items():
        path = f"{VERSIONS}/{number}/download"
        if version["tombstoned"]:
            acme.get(path, 410)
        else:
            body = acme.get(path).body
            assert f"sha256:{hashlib.sha256(body).hexdigest()}" == version["content_hash"]
            history = read_zip(body)["HISTORY.md"].decode()
            assert [f"### Version {n}" in history for n in range(1, number + 1)] == [True] * number
    return versions


def test_publishers_of_one_new_package_get_all_numbers(acme, clients):
    def publish_some(client, name):
        archives = [package_zip("anvil", readme=f"{name}/{n}") for n in range(EACH)]
        return [publish(client, each) for each in archives]

    runs = at_once(*(lambda c=c, n=n: publish_some(c, n) for n, c in enumerate(clients)))
    answers = [each for run in runs for each in run]
    assert {each.status_int for each in answers} == {201}
    assert sorted(each.json["version"] for each in answers) == list(range(1, CROWD * EACH + 1))
    versions = listed(acme)
    for each in answers:
        assert versions[each.json["version"]]["content_hash"] == each.json["content_hash"]


def test_of_publishers_that_expect_the_same_head_one_wins(acme, clients):
    archive = package_zip("anvil")
    publish(acme, archive)
    found = at_once(*(lambda c=c: publish(c, archive, parent_version="1") for c in clients))
    assert sorted(each.status_int for each in found) == [201, *[409] * (CROWD - 1)]
    lost = [each.json for each in found if each.status_int == 409]
    assert lost == [{"detail": "head moved", "head": 2}] * (CROWD - 1)


def test_publishers_of_many_packages_in_opposite_orders_never_stop_each_other(acme, clients):
    names = [f"p{n}" for n in range(4)]

    def publish_all(client, order):
        return [
            client.upload(f"/api/packages/{name}/versions", package_zip(name), status="*")
            for name in order
        ]

    runs = at_once(
        *(lambda c=c, n=n: publish_all(c, names[:: (-1) ** n]) for n, c in enumerate(clients))
    )
    assert {each.status_int for run in runs for each in run} == {201}
    heads = [acme.get(f"/api/packages/{name}").json["versions"][0]["version"] for name in names]
    assert heads == [CROWD] * 4


def test_publishers_tombstones_and_sweeps_at_once_keep_what_is_live(acme, clients):
    """All archives are one and the same content: what one lets go of, another puts again."""
    hub, archive = acme.hub, package_zip("anvil")
    for _ in range(4):
        publish(acme, archive)
    over = threading.Event()

    def sweep_on():
        while not over.is_set():
            sweep(hub.registry.database, hub.registry.stores)

    def publish_some(client):
        return [publish(client, archive) for _ in range(EACH)]

    def tombstone_some(client):
        return [client.call("DELETE", f"{VERSIONS}/{number}") for number in range(1, 5)]

    with ThreadPoolExecutor(2) as sweepers:
        running = [sweepers.submit(sweep_on) for _ in range(2)]
        try:
            runs = at_once(
                *(lambda c=c: publish_some(c) for c in clients[:5]),
                *(lambda c=c: tombstone_some(c) for c in clients[5:]),
            )
        finally:
            over.set()
        for each in running:
            each.result()
    assert {each.status_int for run in runs[:5] for each in run} == {201}
    assert {each.status_int for run in runs[5:] for each in run} <= {200, 410}
    versions = listed(acme)
    assert sorted(versions) == list(range(1, 4 + 5 * EACH + 1))
    assert [n for n, each in sorted(versions.items()) if each["tombstoned"]] == [1, 2, 3, 4]
