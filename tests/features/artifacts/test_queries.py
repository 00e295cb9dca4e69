"""How many statements a reading takes does not depend on how much there is to be read."""

import pytest

from tests.support.contract import statements
from tests.support.stocked import stock

FEW, MANY = (1, 1), (500, 20)


@pytest.fixture(scope="module")
def stocked(hub):
    """A token, and an admin's, of an organisation with little and of one with much."""
    found = {}
    for size in (FEW, MANY):
        acme = hub.organisation()
        holder, admin = acme.token(), acme.token(admin=True)
        with hub.registry.database.write() as db:
            stock(db, acme.slug, holder.key, *size)
        found[size] = {"holder": holder, "admin": admin}
    return found


def counted(client, path):
    """How many statements a request makes that nobody has made since the last commit, and its answer."""
    hub = client.hub
    client.get(path)
    hub.issue_token(client.slug)
    with statements(hub) as seen:
        answer = client.get(path)
    return len(seen), answer.json


@pytest.mark.parametrize("who", ["holder", "admin"])
def test_a_product_takes_as_many_statements_among_many(stocked, who):
    few, one = counted(stocked[FEW][who], "/product/fetch/product-0")
    many, all_ = counted(stocked[MANY][who], "/product/fetch/product-0")
    assert (len(one["versions"]), len(all_["versions"])) == (1, 20)
    # Whose token it is, what it may do with the product, who else may, and the versions.
    assert few == many == 4


@pytest.mark.parametrize("who", ["holder", "admin"])
def test_the_names_of_products_take_as_many_statements_however_many_they_are(stocked, who):
    few, one = counted(stocked[FEW][who], "/product/access")
    many, all_ = counted(stocked[MANY][who], "/product/access")
    assert (len(one), len(all_)) == (1, 500)
    assert few == many == 2


def test_grants_make_no_more_statements_than_one(stocked):
    client = stocked[FEW]["admin"]
    before, _ = counted(client, "/product/fetch/product-0")
    for _ in range(70):
        client.grant("product-0", client.token(), "download")
    after, answer = counted(client, "/product/fetch/product-0")
    assert len(answer["tokens"]) == 71
    assert before == after


def test_a_download_takes_as_many_statements_among_many(hub):
    counts = []
    for size in (FEW, MANY):
        acme = hub.organisation()
        holder = acme.token()
        with hub.registry.database.write() as db:
            stock(db, acme.slug, holder.key, *size)
        holder.put("product-0", "real", b"bytes")
        counts.append(statements_of_download(holder))
    assert counts[0] == counts[1] > 0


def statements_of_download(client):
    hub = client.hub
    hub.issue_token(client.slug)
    with statements(hub) as seen:
        assert client.fetched("product-0", "real") == b"bytes"
    return len(seen)
