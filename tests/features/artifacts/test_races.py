"""Many at one moment: every outcome is one that an order would give. Section 5, check 31."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from hubrepo.features.artifacts.models import Grant, Token
from tests.support.artifacts import assert_readable, caller, kept, sha256, with_my_lib
from tests.support.filled import findings
from tests.support.hub import Hub
from tests.support.publishers import until
from tests.support.races import at_once, deadlocks

pytestmark = pytest.mark.backend

ROUNDS = 3


@pytest.fixture(scope="module")
def hub(request, blobs, tmp_path_factory):
    """As the hub of all functional tests, but nobody else damages what it keeps."""
    if blobs is not None and blobs.startswith("s3:"):
        server = request.getfixturevalue("s3")
        blobs = server.url(f"{server.new_bucket()}/hub")
    store = {} if blobs is None else {"blobs": blobs}
    hub = Hub.below(tmp_path_factory.mktemp("races"), **store)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def usr(hub):
    return with_my_lib(hub)


@pytest.fixture
def adm(usr):
    return caller(usr, admin=True)


@pytest.fixture(autouse=True)
def nothing_contradicts(hub):
    """Whatever was tried: rows and bytes agree, and nobody was given up for another's sake."""
    with deadlocks(hub) as seen:
        yield
        hub.registry.afterwards.settle()
    assert seen == []
    assert findings(hub) == []


def statuses_of(*acts):
    """The statuses of what these are answered, begun at one moment."""
    answers = at_once(*acts)
    for each in answers:
        assert_readable(each)
        assert each.status_int < 500 or each.status_int == 503, each.body
    return [each.status_int for each in answers]


def uploading(client, content, version="v1"):
    """An upload to come, of a thread of its own."""
    mine, fields = client.like(client.key), {"product": "my-lib", "version": version}
    return lambda: mine.form(fields, ("x", content))


def calling(client, method, path, value=None):
    """A request to come."""
    mine = client.like(client.key)
    return lambda: mine.send_json(method, path, value, "*") if value else mine.call(method, path)


def granting(client, token, *flags):
    wish = {"product": "my-lib", "token": token.key, "permissions": dict.fromkeys(flags, True)}
    return calling(client, "PUT", "/product/modify/addToken", wish)


def test_of_ten_who_upload_one_version_one_is_taken_and_all_of_versions_of_their_own(usr):
    """Check 31."""
    for version, contents in (("v1", [b"same"] * 10), ("v2", [b"%d" % n for n in range(10)])):
        statuses = statuses_of(*(uploading(usr, each, version) for each in contents))
        assert sorted(statuses) == [201] + [409] * 9
        won = contents[statuses.index(201)]
        assert usr.fetched("my-lib", version) == won
        assert kept(usr) == {sha256(b"same"), sha256(won)}
    statuses = statuses_of(*(uploading(usr, b"same", f"own-{number}") for number in range(8)))
    assert statuses == [201] * 8
    assert len(usr.versions()) == 10


def test_of_ten_who_create_one_product_one_has_it(hub):
    acme = hub.organisation()
    clients = [caller(acme) for _ in range(10)]
    statuses = statuses_of(
        *(calling(each, "PUT", "/product/create", {"name": "my-lib"}) for each in clients)
    )
    assert sorted(statuses) == [201] + [409] * 9
    owner = clients[statuses.index(201)]
    assert list(owner.product()["tokens"]) == [owner.digest]
    assert [each.accessible() for each in clients].count([]) == 9


def test_no_grant_is_lost_and_the_last_of_one_token_counts(usr):
    """Section 6, 5."""
    others = [caller(usr) for _ in range(6)]
    assert statuses_of(*(granting(usr, each, "download") for each in others)) == [201] * 6
    assert set(usr.product()["tokens"]) == {each.digest for each in (usr, *others)}
    wishes = [("download",), ("upload",), ("delete", "upload"), ()] * 2
    assert statuses_of(*(granting(usr, others[0], *each) for each in wishes)) == [201] * 8
    found = usr.product()["tokens"][others[0].digest]
    assert tuple(sorted(flag for flag, on in found.items() if on)) in wishes


def test_a_token_is_pruned_or_granted_something_and_never_half_of_both(adm, usr):
    for _ in range(ROUNDS):
        other = caller(usr)
        made = f"of-{other.digest[:8]}"
        pruned, granted, created = statuses_of(
            calling(adm, "DELETE", f"/prune/{other.key}"),
            granting(usr, other, "download"),
            calling(other, "PUT", "/product/create", {"name": made}),
        )
        assert pruned == 204
        assert granted in {201, 404}
        assert created in {201, 401}
        assert list(usr.product()["tokens"]) == [usr.digest]
        if created == 201:
            assert adm.product(made)["tokens"] == {}


def test_a_product_is_deleted_with_what_is_uploaded_or_before_it(usr):
    for _ in range(ROUNDS):
        deleted, *uploaded = statuses_of(
            calling(usr, "DELETE", "/product/delete/my-lib"),
            *(uploading(usr, b"%d" % each, f"v{each}") for each in range(4)),
        )
        assert deleted == 204
        assert set(uploaded) <= {201, 404}
        usr.refused(404, "GET", "/product/fetch/my-lib")
        assert kept(usr) == set()
        usr.create("my-lib")


def test_a_version_is_deleted_once_and_its_bytes_stay_for_who_has_them_too(usr):
    for _ in range(ROUNDS):
        usr.put("my-lib", "v1", b"same")
        *deleted, uploaded = statuses_of(
            *(calling(usr, "DELETE", "/product/delete/my-lib/v1") for _ in range(4)),
            uploading(usr, b"same", "v2"),
        )
        assert sorted(deleted) == [204, 404, 404, 404]
        if uploaded == 503:  # the same bytes were just being removed
            usr.put("my-lib", "v2", b"same")
        assert usr.fetched("my-lib", "v2") == b"same"
        usr.delete("/product/delete/my-lib/v2")
        assert kept(usr) == set()


def test_of_those_who_prune_one_token_one_has_done_it_and_admins_may_prune_each_other(adm, usr):
    path = f"/prune/{caller(usr).key}"
    statuses = statuses_of(*(calling(adm, "DELETE", path) for _ in range(4)))
    assert sorted(statuses) == [204, 404, 404, 404]
    for _ in range(ROUNDS):
        one, other = (caller(usr, admin=True) for _ in range(2))
        statuses = statuses_of(
            calling(one, "DELETE", f"/prune/{other.key}"),
            calling(other, "DELETE", f"/prune/{one.key}"),
        )
        assert set(statuses) <= {204, 401}
        assert 204 in statuses


@pytest.mark.parametrize("ends", ["token", "product"])
def test_grants_are_locked_in_one_order(hub, adm, ends):
    """Whoever waits for the first has not got the second yet, also if it lies before the first."""
    if hub.is_on_sqlite:
        pytest.skip("on SQLite one writes at a time")
    holder, other_holder, spare = (caller(adm) for _ in range(3))
    for name in ("p0", "p1"):
        adm.create(name)
    adm.grant("p0", holder)
    adm.grant(*(("p1", holder) if ends == "token" else ("p0", other_holder)))
    database = hub.registry.database
    with database.write() as db:
        ids = {token.digest: token.id for token in db.scalars(select(Token))}
        holders = (ids[holder.digest], ids[other_holder.digest])
        of_these = select(Grant).where(Grant.token_id.in_(holders)).order_by(Grant.id)
        first, second = (each.id for each in db.scalars(of_these))
        # What is written anew lies at the end, of its indexes too if it was another's for a moment.
        for token_id in (ids[spare.digest], ids[holder.digest]):
            db.get(Grant, first).token_id = token_id
            db.flush()
    path = f"/prune/{holder.digest}" if ends == "token" else "/product/delete/p0"
    with ThreadPoolExecutor(1) as other:
        with database.write() as db:
            db.execute(select(Grant.id).where(Grant.id == first).with_for_update())
            waiting = other.submit(adm.call, "DELETE", path)
            until(lambda: _is_waited_for(hub))
            db.execute(select(Grant.id).where(Grant.id == second).with_for_update(nowait=True))
        assert waiting.result().status_int == 204


def _is_waited_for(hub):
    with hub.registry.database.read() as db:
        return db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
