"""Where artifacts are found, in which states, and by whom they are asked for: for all tests that try all
views and all kinds of credential.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import object_session

from hubrepo.features.artifacts import resources as artifacts
from hubrepo.features.artifacts.models import Grant, Product, Token
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.features.artifacts.tokens import digest_of
from hubrepo.kernel.accounts import AccountService, Organisation
from hubrepo.kernel.base import now
from tests.support.credentials import Caller, Kinds
from tests.support.hub import Client, TokenClient
from tests.support.views import Body, Place, as_operator, form_body, json_body, missing

# What a product of `empty_product` grants to each token of its organisation that has such a label.
GRANTED: Mapping[str, tuple[str, ...]] = {"granted": (), **{flag: (flag,) for flag in FLAGS}}


def empty_product(owner: Client, name: str) -> str:
    """A product without versions, at which tokens may do what their labels say."""
    owner.artifacts.create(name)
    as_operator(owner, lambda _, there: _grant_labelled(there, name))
    return name


def _grant_labelled(organisation: Organisation, name: str) -> None:
    """As rows: over HTTP most requests of those who try all views would be these."""
    db, own = object_session(organisation), {"organisation_id": organisation.id}
    assert db is not None
    product = db.scalars(select(Product).filter_by(name=name, **own)).one()
    for token in db.scalars(select(Token).where(Token.label.in_(GRANTED)).filter_by(**own)):
        flags = {flag: flag in GRANTED[token.label] for flag in FLAGS}
        db.add(Grant(product_id=product.id, token_id=token.id, **own, **flags))


def _grant(owner: Client, product: str, digest: str, *flags: str) -> None:
    wish = {"product": product, "token": digest, "permissions": dict.fromkeys(flags, True)}
    owner.artifacts.send_json("PUT", "/product/modify/addToken", wish, 201)


def live_product(owner: Client, name: str) -> str:
    """A product with one version."""
    empty_product(owner, name)
    owner.artifacts.put(name, "v1", f"the artifact {name}".encode())
    return name


def deleted_product(owner: Client, name: str) -> str:
    """It is gone with all that it had."""
    live_product(owner, name)
    owner.artifacts.delete(f"/product/delete/{name}")
    return name


def deleted_version(owner: Client, name: str) -> str:
    """A product without the version that it had."""
    live_product(owner, name)
    owner.artifacts.delete(f"/product/delete/{name}/v1")
    return name


def live_token(owner: Client, name: str) -> str:
    """A token that nobody uses, whose raw form is its name."""

    def add(_accounts: AccountService, organisation: Organisation) -> None:
        session = object_session(organisation)
        assert session is not None
        row = {"digest": digest_of(name), "admin": False, "label": "", "created_at": now()}
        session.add(Token(organisation_id=organisation.id, **row))

    as_operator(owner, add)
    return name


def token_by_digest(owner: Client, name: str) -> str:
    """A token that is called by its public name."""
    return digest_of(live_token(owner, name))


def pruned_token(owner: Client, name: str) -> str:
    """It was good once."""
    owner.artifacts.delete(f"/prune/{live_token(owner, name)}")
    return name


def ungranted_token(owner: Client, name: str) -> str:
    """A product, and a token that has nothing to do with it, of one name."""
    return live_token(owner, live_product(owner, name))


def granted_token(owner: Client, name: str) -> str:
    """A product, and a token that it grants something, of one name."""
    _grant(owner, ungranted_token(owner, name), digest_of(name), "download")
    return name


PRODUCT = {
    "live": live_product,
    "empty": empty_product,
    "deleted": deleted_product,
    "missing": missing,
}
ARTIFACT = {
    "live": live_product,
    "deleted": deleted_version,
    "missing": empty_product,
    "no product": missing,
}
GRANT = {
    "live": granted_token,
    "no grant": ungranted_token,
    "no token": live_product,
    "missing": missing,
}
TOKEN = {
    "live": live_token,
    "by digest": token_by_digest,
    "pruned": pruned_token,
    "missing": missing,
}
ALWAYS = {"always": missing}
TWICE = ("", "/api")

PLACES: dict[type, Place] = {
    artifacts.HealthResource: Place("/health", ALWAYS, TWICE),
    artifacts.RegisterResource: Place("/register", ALWAYS, TWICE),
    artifacts.FetchedToken: Place("/fetch/{name}", TOKEN, TWICE),
    artifacts.PrunedToken: Place("/prune/{name}", TOKEN, TWICE),
    artifacts.ProductsResource: Place("/product", PRODUCT, TWICE),
    artifacts.ShownProduct: Place("/product/fetch/{name}", PRODUCT, TWICE),
    artifacts.DeletedProduct: Place("/product/delete/{name}", PRODUCT, TWICE),
    artifacts.DeletedVersion: Place("/product/delete/{name}/v1", ARTIFACT, TWICE),
    artifacts.SentVersion: Place("/product/download/{name}/v1", ARTIFACT, TWICE),
    artifacts.UploadResource: Place("/product/upload", ARTIFACT, TWICE),
    artifacts.AddTokenResource: Place("/product/modify/addToken", GRANT, TWICE),
    artifacts.DeleteTokenResource: Place("/product/modify/deleteToken", GRANT, TWICE),
    artifacts.DeleteVersionResource: Place("/product/modify/deleteVersion", ARTIFACT, TWICE),
}


BODIES: dict[tuple[type, str], Callable[[str, str], Body]] = {
    (artifacts.RegisterResource, "PUT"): lambda _, name: json_body({"label": name}),
    (artifacts.ProductsResource, "PUT"): lambda _, name: json_body({"name": name}),
    (artifacts.UploadResource, "POST"): lambda _, name: form_body(
        b"something", product=name, version="v1"
    ),
    (artifacts.AddTokenResource, "PUT"): lambda _, name: json_body(
        {"product": name, "token": name, "permissions": {"upload": True}}
    ),
    (artifacts.DeleteTokenResource, "DELETE"): lambda _, name: json_body(
        {"product": name, "token": name}
    ),
    (artifacts.DeleteVersionResource, "DELETE"): lambda _, name: json_body(
        {"product": name, "version": "v1"}
    ),
}


def _with_token(owner: Client, raw: str) -> TokenClient:
    return TokenClient(owner.hub, owner.slug, raw)


def _pruned(owner: Client) -> TokenClient:
    client = owner.token()
    owner.artifacts.delete(f"/prune/{client.digest}")
    return client


def _labelled(label: str) -> Caller:
    return lambda owner: _with_token(owner, owner.hub.issue_token(owner.slug, label=label))


TOKENS = Kinds(
    {
        "blank": lambda owner: _with_token(owner, " "),
        "garbled": lambda owner: _with_token(owner, "nonsense"),
        "guessed": lambda owner: _with_token(owner, "0123456789ab" * 4),
        "pruned": _pruned,
        "digest": lambda owner: _with_token(owner, owner.artifacts.digest),
        "keyed": lambda owner: _with_token(owner, owner.key),
        "token": lambda owner: Client(owner.hub, owner.slug, owner.artifacts.key),
        "beyond": lambda owner: owner.hub.organisation().token(),
        "foreign admin": lambda owner: owner.hub.organisation().token(admin=True),
        "plain": lambda owner: owner.token(),
        # The things that are asked for grant them so much.
        **{label: _labelled(label) for label in GRANTED},
        "over all": lambda owner: owner.token(admin=True),
    },
    {
        "blank": "a token of blanks",
        "garbled": "nothing that could be a token",
        "guessed": "a token that was never given out",
        "pruned": "a pruned token",
        "digest": "the digest of a good token in its place",
        "keyed": "a good key in the place of a token",
        "token": "a good token in the place of a key",
        "beyond": "a good token of another organisation",
        "foreign admin": "a good admin token of another organisation",
        "plain": "a token without any grant",
        "granted": "a token with a grant that has no flag",
        **{flag: f"a token with the flag {flag}" for flag in FLAGS},
        "over all": "an admin token",
    },
    {"beyond", "foreign admin", "plain", "over all", *GRANTED},
    Path(__file__).with_name("permission_matrix.txt"),
)
KINDS = {"artifact-token": TOKENS}
