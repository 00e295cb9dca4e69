"""A check of the hub finds every fault of products, their versions and grants."""

import pytest
from sqlalchemy import delete, select, update

from hubrepo.features.artifacts.models import Grant, Product, ProductVersion, Token
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, doom
from tests.support.filled import EVERY_PLACE, by_force, fill, findings, make_hub


@pytest.fixture(params=EVERY_PLACE)
def place(request):
    return request.param


@pytest.fixture
def hub(request, place, tmp_path):
    return make_hub(request, tmp_path, *place)


@pytest.fixture
def acme(hub):
    return fill(hub)[0]


def product_of(db, client, name="engine"):
    mine = select(Organisation.id).where(Organisation.slug == client.slug).scalar_subquery()
    return db.scalars(
        select(Product).where(Product.organisation_id == mine, Product.name == name)
    ).one()


def version_of(db, client, identifier="v1.1.0"):
    product = product_of(db, client)
    return db.scalars(
        select(ProductVersion).where(
            ProductVersion.product_id == product.id, ProductVersion.identifier == identifier
        )
    ).one()


def other_than(db, acme):
    """The other organisation."""
    others = select(Organisation).where(Organisation.slug != acme.slug)
    return db.scalars(others.order_by(Organisation.id)).one()


def test_a_product_version_with_bytes_of_another_organisation_is_found(hub, acme):
    with by_force(hub) as db:
        own, theirs = version_of(db, acme), version_of(db, other_than(db, acme))
        doom(db, [own.blob_id], now())
        own.blob_id = theirs.blob_id
    (found,) = findings(hub)
    assert found.kind == "dangling"
    assert found.subject == f"product:{acme.slug}/engine version v1.1.0"
    assert "not of one organisation" in found.text


def test_a_product_version_that_is_counted_for_another_organisation_is_found(hub, acme):
    with by_force(hub) as db:
        version_of(db, acme).organisation_id = other_than(db, acme).id
    (found,) = findings(hub)
    assert found.subject == f"product:{acme.slug}/engine version v1.1.0"


def test_a_product_version_whose_blob_is_gone_is_found_once(hub, acme):
    with by_force(hub) as db:
        version = version_of(db, acme)
        size = db.get(Blob, version.blob_id).size
        db.execute(delete(Blob).where(Blob.id == version.blob_id))
        db.execute(
            update(Organisation)
            .where(Organisation.id == version.organisation_id)
            .values(stored_bytes=Organisation.stored_bytes - size)
        )
    found = findings(hub)
    assert [each.subject for each in found if each.is_damage] == ["artifacts_version"]
    assert [each.kind for each in found if not each.is_damage] == ["unknown"]


@pytest.mark.parametrize("what", ["organisation", "token"])
def test_a_grant_across_organisations_is_found(hub, acme, what):
    with by_force(hub) as db:
        grant = db.scalars(
            select(Grant)
            .where(Grant.product_id == product_of(db, acme, "bolt").id)
            .order_by(Grant.id.desc())
        ).first()
        digest = db.get(Token, grant.token_id).digest
        beta = other_than(db, acme)
        if what == "organisation":
            grant.organisation_id = beta.id
        else:
            token = db.scalars(
                select(Token)
                .where(Token.organisation_id == beta.id, ~Token.admin)
                .order_by(Token.id)
            ).first()
            grant.token_id, digest = token.id, token.digest
    (found,) = findings(hub)
    assert (found.kind, found.subject) == ("dangling", f"product:{acme.slug}/bolt")
    assert f"token:{digest[:12]}" in found.text


@pytest.mark.parametrize("model", [Product, Token])
def test_what_refers_to_a_product_or_a_token_that_is_gone_is_found(hub, acme, model):
    with by_force(hub) as db:
        product = product_of(db, acme, "bolt")
        grants = select(Grant.token_id).where(Grant.product_id == product.id)
        token = db.scalars(grants.order_by(Grant.id.desc())).first()
        gone = product.id if model is Product else token
        db.execute(delete(model).where(model.id == gone))
    found = findings(hub)
    assert {each.kind for each in found} == {"dangling"}
    expected = {"artifacts_grant"} | ({"artifacts_version"} if model is Product else set())
    assert {each.subject for each in found} == expected
