"""How many statements a reading takes does not depend on how much there is to be read."""

import json

import pytest

from tests.support.artifacts import OPERATIONS, caller
from tests.support.contract import statements
from tests.support.stocked import stock

FEW, MANY = (1, 1), (100, 20)


@pytest.fixture(scope="module")
def stocked(hub):
    """A token, and an admin's, of an organisation with little and of one with much."""
    found = {}
    for size in (FEW, MANY):
        acme = hub.organisation()
        holder, admin = acme.token(), acme.token(admin=True)
        with hub.registry.database.write() as db:
            stock(db, acme.slug, holder.key, *size)
        for _ in range(20 if size == MANY else 0):
            admin.grant("product-0", acme.token(), "download")
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
def test_a_reading_takes_as_many_statements_among_many(stocked, who):
    few, one = counted(stocked[FEW][who], "/product/fetch/product-0")
    many, all_ = counted(stocked[MANY][who], "/product/fetch/product-0")
    assert (len(one["versions"]), len(all_["versions"])) == (1, 20)
    assert (len(one["tokens"]), len(all_["tokens"])) == (1, 21)
    # Whose token it is, what it may do with the product, who else may, and the versions.
    assert few == many == 4
    few, one = counted(stocked[FEW][who], "/product/access")
    many, all_ = counted(stocked[MANY][who], "/product/access")
    assert (len(one), len(all_)) == (1, 100)
    assert few == many == 2


def test_a_download_takes_as_many_statements_among_many(stocked):
    counts = []
    for size in (FEW, MANY):
        holder = stocked[size]["holder"]
        holder.put("product-0", "real", b"bytes")
        holder.hub.issue_token(holder.slug)
        with statements(holder.hub) as seen:
            assert holder.fetched("product-0", "real") == b"bytes"
        counts.append(len(seen))
        holder.delete("/product/delete/product-0/real")
    assert counts[0] == counts[1] > 0


def test_what_is_another_organisation_s_takes_the_statements_of_what_is_missing(adm, usr, zusr):
    """Section 1.3: not even the time that an answer takes tells one from the other."""
    usr.create("my-lib")
    usr.put("my-lib", "v1")
    for who in (zusr, caller(zusr, admin=True)):
        who.get("/product/access")  # from here on the token has been used
        for method, path, value in OPERATIONS:
            if "my-lib" not in f"{path}{value}" and "{}" not in path:
                continue
            runs = []
            for product, token in (("my-lib", usr.digest), ("no-lib", "0" * 64)):
                body = (
                    json.dumps(value or {}).replace("my-lib", product).replace('"{}"', f'"{token}"')
                )
                target = path.replace("my-lib", product).format(token)
                who.hub.issue_token(who.slug)  # what was read before is read again
                with statements(who.hub) as seen:
                    answer = who.call(method, target, body.encode() if value else b"")
                    who.hub.registry.afterwards.settle()
                assert answer.status_int in {403, 404}
                runs.append(list(seen))
            assert runs[0] == runs[1], (method, path)
    assert adm.versions() == ["v1"]
