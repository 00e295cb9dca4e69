"""A check of the hub finds every fault of products, their versions and grants."""

import pytest
from sqlalchemy import delete, select, update

from hubrepo.features.artifacts.models import Grant, Product, ProductVersion, Token
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, doom
from tests.support.filled import by_force, fill, findings
from tests.support.hub import Hub

pytestmark = pytest.mark.backend


@pytest.fixture
def hub(tmp_path):
    hub = Hub.below(tmp_path)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def acme(hub):
    return fill(hub)[0]


def product_of(db, client, name="engine"):
    query = select(Product).join(Organisation, Organisation.id == Product.organisation_id)
    return db.scalars(query.where(Organisation.slug == client.slug, Product.name == name)).one()


def version_of(db, client):
    """The version v1.1.0 of its product."""
    here = ProductVersion.product_id == product_of(db, client).id
    query = select(ProductVersion).where(here, ProductVersion.identifier == "v1.1.0")
    return db.scalars(query).one()


def other_than(db, acme):
    """The other organisation."""
    others = select(Organisation).where(Organisation.slug != acme.slug)
    return db.scalars(others.order_by(Organisation.id)).first()


def last_grant(db, acme):
    """That of who is no admin, at the product bolt."""
    grants = select(Grant).where(Grant.product_id == product_of(db, acme, "bolt").id)
    return db.scalars(grants.order_by(Grant.id.desc())).first()


@pytest.mark.parametrize("what", ["bytes", "count"])
def test_a_product_version_of_two_organisations_is_found(hub, acme, what):
    with by_force(hub) as db:
        own, beta = version_of(db, acme), other_than(db, acme)
        if what == "count":
            own.organisation_id = beta.id
        else:
            doom(db, [own.blob_id], now())
            own.blob_id = version_of(db, beta).blob_id
    (found,) = findings(hub)
    assert found.kind == "dangling"
    assert found.subject == f"product:{acme.slug}/engine version v1.1.0"
    assert "not of one organisation" in found.text


def test_a_product_version_whose_blob_is_gone_is_found_once(hub, acme):
    with by_force(hub) as db:
        version = version_of(db, acme)
        smaller = Organisation.stored_bytes - db.get(Blob, version.blob_id).size
        mine = Organisation.id == version.organisation_id
        db.execute(delete(Blob).where(Blob.id == version.blob_id))
        db.execute(update(Organisation).where(mine).values(stored_bytes=smaller))
    found = findings(hub)
    assert [each.subject for each in found if each.is_damage] == ["artifacts_version"]
    assert [each.kind for each in found if not each.is_damage] == ["unknown"]


@pytest.mark.parametrize("what", ["organisation", "token"])
def test_a_grant_across_organisations_is_found(hub, acme, what):
    with by_force(hub) as db:
        grant, beta = last_grant(db, acme), other_than(db, acme)
        token = db.get(Token, grant.token_id)
        if what == "organisation":
            grant.organisation_id = beta.id
        else:
            theirs = select(Token).where(Token.organisation_id == beta.id, ~Token.admin)
            token = db.scalars(theirs.order_by(Token.id)).first()
            grant.token_id = token.id
        digest = token.digest
    (found,) = findings(hub)
    assert (found.kind, found.subject) == ("dangling", f"product:{acme.slug}/bolt")
    assert f"token:{digest[:12]}" in found.text


@pytest.mark.parametrize("model", [Product, Token])
def test_what_refers_to_a_product_or_a_token_that_is_gone_is_found(hub, acme, model):
    with by_force(hub) as db:
        grant = last_grant(db, acme)
        gone = grant.product_id if model is Product else grant.token_id
        db.execute(delete(model).where(model.id == gone))
    found = findings(hub)
    assert {each.kind for each in found} == {"dangling"}
    expected = {"artifacts_grant"} | ({"artifacts_version"} if model is Product else set())
    assert {each.subject for each in found} == expected
