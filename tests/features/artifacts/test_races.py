"""Many at one moment: every outcome is one that an order would give. Section 5, check 31."""

import pytest

from hubrepo.kernel.blobs import Check
from tests.support.artifacts import assert_readable, caller, kept, sha256
from tests.support.hub import Hub
from tests.support.races import at_once, deadlocks

ROUNDS = 5


@pytest.fixture(scope="module", params=["as told", "postgresql"])
def hub(request, tmp_path_factory):
    """The hub of the options; and one over PostgreSQL in any case."""
    if request.param == "as told":
        yield request.getfixturevalue("hub_of_the_options")
        return
    server = request.getfixturevalue("postgresql")
    url = server.fresh()
    hub = Hub.below(tmp_path_factory.mktemp("races"), database=url)
    yield hub
    hub.registry.database.close()
    server.drop(url)


@pytest.fixture(scope="module")
def hub_of_the_options(request, blobs, tmp_path_factory):
    """As the hub of all functional tests, but nobody else damages what it keeps."""
    if blobs is not None and blobs.startswith("s3:"):
        server = request.getfixturevalue("s3")
        blobs = server.url(f"{server.new_bucket()}/hub")
    store = {} if blobs is None else {"blobs": blobs}
    hub = Hub.below(tmp_path_factory.mktemp("races"), **store)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def adm(acme):
    return caller(acme, admin=True)


@pytest.fixture
def usr(acme):
    client = caller(acme)
    client.create("my-lib")
    return client


@pytest.fixture(autouse=True)
def nothing_contradicts(hub):
    """Whatever was tried: rows and bytes agree."""
    yield
    registry = hub.registry
    check = Check(registry.database, registry.stores, registry.checks.values())
    assert list(check.run()) == []


def again(client):
    """The same token, for another thread."""
    return client.like(client.key)


def statuses_of(*acts):
    """The statuses of what these are answered, begun at one moment."""
    answers = at_once(*acts)
    for each in answers:
        assert_readable(each)
        assert each.status_int < 500 or each.status_int == 503, each.body
    return [each.status_int for each in answers]


def uploading(client, content, version="v1"):
    """An upload to come, of a thread of its own."""
    mine, fields = again(client), {"product": "my-lib", "version": version}
    return lambda: mine.form(fields, ("x", content))


def calling(client, method, path, value=None):
    """A request to come."""
    mine = again(client)
    return lambda: mine.send_json(method, path, value, "*") if value else mine.call(method, path)


@pytest.mark.parametrize("is_same", [True, False])
def test_of_ten_who_upload_one_version_one_is_taken(usr, is_same):
    """Check 31."""
    contents = [b"same" if is_same else b"%d" % number for number in range(10)]
    statuses = statuses_of(*(uploading(usr, each) for each in contents))
    assert sorted(statuses) == [201] + [409] * 9
    won = contents[statuses.index(201)]
    assert usr.fetched("my-lib", "v1") == won
    assert kept(usr) == {sha256(won)}


def test_who_upload_versions_of_their_own_are_all_taken(usr):
    statuses = statuses_of(*(uploading(usr, b"same", f"v{number}") for number in range(8)))
    assert statuses == [201] * 8
    assert sorted(usr.versions()) == [f"v{number}" for number in range(8)]


def test_of_ten_who_create_one_product_one_has_it(acme):
    clients = [caller(acme) for _ in range(10)]
    statuses = statuses_of(
        *(calling(each, "PUT", "/product/create", {"name": "my-lib"}) for each in clients)
    )
    assert sorted(statuses) == [201] + [409] * 9
    owner = clients[statuses.index(201)]
    assert list(owner.product()["tokens"]) == [owner.digest]
    assert [each.accessible() for each in clients].count([]) == 9


def test_no_grant_is_lost_and_the_last_of_one_token_counts(acme, usr):
    """Section 6, 5."""
    others = [caller(acme) for _ in range(6)]

    def granting(token, *flags):
        wish = {"product": "my-lib", "token": token.key, "permissions": dict.fromkeys(flags, True)}
        return calling(usr, "PUT", "/product/modify/addToken", wish)

    assert statuses_of(*(granting(each, "download") for each in others)) == [201] * 6
    assert set(usr.product()["tokens"]) == {each.digest for each in (usr, *others)}
    wishes = [("download",), ("upload",), ("delete", "upload"), ()] * 2
    assert statuses_of(*(granting(others[0], *each) for each in wishes)) == [201] * 8
    found = usr.product()["tokens"][others[0].digest]
    assert tuple(sorted(flag for flag, on in found.items() if on)) in wishes


def test_a_token_is_pruned_or_granted_something_and_never_half_of_both(acme, adm, usr):
    for _ in range(ROUNDS):
        other = caller(acme)
        wish = {"product": "my-lib", "token": other.key, "permissions": {"download": True}}
        statuses = statuses_of(
            calling(adm, "DELETE", f"/prune/{other.key}"),
            calling(usr, "PUT", "/product/modify/addToken", wish),
            calling(other, "PUT", "/product/create", {"name": f"of-{other.digest[:8]}"}),
        )
        assert statuses[0] == 204
        assert statuses[1] in {201, 404}
        assert statuses[2] in {201, 401}
        assert list(usr.product()["tokens"]) == [usr.digest]
        if statuses[2] == 201:
            assert adm.product(f"of-{other.digest[:8]}")["tokens"] == {}


def test_a_product_is_deleted_with_what_is_uploaded_or_before_it(usr):
    for _ in range(ROUNDS):
        statuses = statuses_of(
            calling(usr, "DELETE", "/product/delete/my-lib"),
            *(uploading(usr, b"%d" % each, f"v{each}") for each in range(4)),
        )
        assert statuses[0] == 204
        assert set(statuses[1:]) <= {201, 404}
        usr.refused(404, "GET", "/product/fetch/my-lib")
        assert kept(usr) == set()
        usr.create("my-lib")


def test_a_version_is_deleted_once_and_its_bytes_stay_for_who_has_them_too(usr):
    for _ in range(ROUNDS):
        usr.put("my-lib", "v1", b"same")
        statuses = statuses_of(
            *(calling(usr, "DELETE", "/product/delete/my-lib/v1") for _ in range(4)),
            uploading(usr, b"same", "v2"),
        )
        assert sorted(statuses[:4]) == [204, 404, 404, 404]
        if statuses[4] == 503:  # the same bytes were just being removed
            usr.put("my-lib", "v2", b"same")
        assert usr.fetched("my-lib", "v2") == b"same"
        usr.delete("/product/delete/my-lib/v2")
        assert kept(usr) == set()


def test_of_those_who_prune_one_token_one_has_done_it(acme, adm):
    other = caller(acme)
    statuses = statuses_of(*(calling(adm, "DELETE", f"/prune/{other.key}") for _ in range(4)))
    assert sorted(statuses) == [204, 404, 404, 404]


def test_admins_may_prune_each_other(hub, acme):
    with deadlocks(hub) as seen:
        for _ in range(5):
            one, other = (caller(acme, admin=True) for _ in range(2))
            statuses = statuses_of(
                calling(one, "DELETE", f"/prune/{other.key}"),
                calling(other, "DELETE", f"/prune/{one.key}"),
            )
            assert set(statuses) <= {204, 401}
            assert 204 in statuses
    assert seen == []
