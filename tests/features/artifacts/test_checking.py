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


def bytes_of_another(db, acme):
    own, theirs = version_of(db, acme), version_of(db, other_than(db, acme))
    doom(db, [own.blob_id], now())
    own.blob_id = theirs.blob_id
    return {f"product:{acme.slug}/engine version v1.1.0": "not of one organisation"}


def counted_for_another(db, acme):
    version_of(db, acme).organisation_id = other_than(db, acme).id
    return {f"product:{acme.slug}/engine version v1.1.0": "not of one organisation"}


def grant_of_another(db, acme):
    grant = last_grant(db, acme)
    grant.organisation_id = other_than(db, acme).id
    digest = db.get(Token, grant.token_id).digest
    return {f"product:{acme.slug}/bolt": f"token:{digest[:12]}"}


def grant_to_another(db, acme):
    theirs = Token.organisation_id == other_than(db, acme).id
    token = db.scalars(select(Token).where(theirs, ~Token.admin).order_by(Token.id)).first()
    last_grant(db, acme).token_id = token.id
    return {f"product:{acme.slug}/bolt": f"token:{token.digest[:12]}"}


def product_gone(db, acme):
    db.execute(delete(Product).where(Product.id == last_grant(db, acme).product_id))
    return {"artifacts_grant": "", "artifacts_version": ""}


def token_gone(db, acme):
    db.execute(delete(Token).where(Token.id == last_grant(db, acme).token_id))
    return {"artifacts_grant": ""}


FAULTS = [bytes_of_another, counted_for_another, grant_of_another, grant_to_another]


@pytest.mark.parametrize("fault", [*FAULTS, product_gone, token_gone])
def test_what_joins_two_organisations_or_is_gone_is_found(hub, acme, fault):
    with by_force(hub) as db:
        expected = fault(db, acme)
    found = findings(hub)
    assert {(each.kind, each.subject) for each in found} == {
        ("dangling", each) for each in expected
    }
    assert all(expected[each.subject] in each.text for each in found)
    assert len(found) == 1 or fault in {product_gone, token_gone}


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
