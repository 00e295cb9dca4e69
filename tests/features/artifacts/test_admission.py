"""What a proxy is told that asks whether an artifact's bytes are worth reading."""

import json

from tests.support.hub import Client, Hub, TokenClient

ADMISSION = "/_ah/admission"
TOKENS_AT = ("/product/upload", "/api/product/upload", "//product/upload?x", "/%70roduct/upload/")


def test_where_tokens_are_asked_for_a_token_is_let_in_and_a_key_is_not(acme: Client):
    usual = acme.call("POST", "/product/upload", status=401)
    for asked in TOKENS_AT:
        at = {"X-Original-URI": asked}
        assert acme.artifacts.get(ADMISSION, headers=at).json == {"admission": "granted"}
        refused = acme.get(ADMISSION, 401, headers=at)
        assert refused.headers["X-Hubrepo-Refusal"] == usual.text
        assert refused.headers["WWW-Authenticate"] == usual.headers["WWW-Authenticate"]
        assert usual.headers["WWW-Authenticate"].startswith("ApiKey ")
        assert set(json.loads(usual.text)) == {"error"}


def test_elsewhere_a_token_is_nothing(acme: Client):
    for asked in ("/api/packages", "/products", "/api/x?/product", "", "nonsense"):
        refused = acme.token().get(ADMISSION, 401, headers={"X-Original-URI": asked})
        assert set(json.loads(refused.headers["X-Hubrepo-Refusal"])) == {"detail"}
        acme.get(ADMISSION, headers={"X-Original-URI": asked})


def test_below_a_prefix_the_path_is_what_follows_it(hub: Hub, acme: Client):
    below = TokenClient(hub, acme.slug, acme.token().key, "/shop")
    paths = {"/shop/product/upload": 200, "/shop/api/packages": 401, "/product/upload": 401}
    for asked, status in paths.items():
        below.get(ADMISSION, status, headers={"X-Original-URI": asked})
