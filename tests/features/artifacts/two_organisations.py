"""Two organisations that keep artifacts too, each beside its own model."""

import hashlib
import itertools
import json

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from webtest import TestResponse

from hubrepo.features.artifacts.events import token_name
from tests.support.contract import file_part, multipart, text_part
from tests.support.hub import TokenClient
from tests.support.model import Token
from tests.support.two_organisations import (
    FORM,
    JSON,
    Side,
    TwoOrganisations,
    choices,
    contents,
    one_of,
    sides,
)

PRODUCTS = ("anvil", "bolt")
ARTIFACTS = ("v1", "v2")

_asked = itertools.count(1)

products = st.sampled_from(PRODUCTS)
identifiers = st.sampled_from(ARTIFACTS)
flags = st.sampled_from([(), ("maintainer",), ("download", "upload"), ("delete",)])


class WithArtifacts(TwoOrganisations):
    """What both do with products and tokens, and what both see of them."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.admins: list[Token] = []
        for each in self.sides:
            raw = self.hub.issue_token(each.slug, admin=True)
            self.admins.append(each.model.add_token(raw, is_admin=True))
            each.model.add_token(self.hub.issue_token(each.slug), is_admin=False)
        for side in (0, 1):
            self.create_product(side, 1, "anvil")
            self.upload_artifact(side, 1, "anvil", "v1", 1)

    def ask_with(
        self, side: int, choice: int, method: str, path: str, value: object = None
    ) -> tuple[Token, TestResponse]:
        """A token, and what is answered to it: at the root or below `/api`, by turns."""
        owner = self.sides[side]
        token = one_of(owner.model.tokens, choice)
        client = TokenClient(self.hub, owner.slug, token.plain)
        body = b"" if value is None else json.dumps(value).encode()
        url = ("", "/api")[next(_asked) % 2] + path
        return token, self.ask(side, method, url, body, JSON if body else None, client)

    @rule(side=sides, admin=st.booleans())
    def register_token(self, side: int, admin: bool) -> None:
        model = self.sides[side].model
        _, response = self.ask_with(side, 0, "PUT", "/register", {"admin": admin})
        assert response.status_int == 201
        model.add_token(response.text, is_admin=admin)

    @rule(side=sides, whose=sides, choice=st.integers(1, 9))
    def prune_token(self, side: int, whose: int, choice: int) -> None:
        """Of the other organisation it cannot be."""
        token = one_of(self.sides[whose].model.tokens, choice)
        if token is not self.admins[side]:
            if side != whose:
                # The log tells who tried what.
                self.sides[side].guesses.append(token.digest)
            _, response = self.ask_with(side, 0, "DELETE", f"/prune/{token.digest}")
            assert response.status_int == self.sides[side].model.prune(token.digest)

    @rule(side=sides, whose=sides, choice=choices)
    def fetch_token(self, side: int, whose: int, choice: int) -> None:
        token = one_of(self.sides[whose].model.tokens, choice)
        _, response = self.ask_with(side, 0, "GET", f"/fetch/{token.plain}")
        assert response.status_int == (200 if side == whose and not token.is_pruned else 404)

    @rule(side=sides, choice=choices)
    def use_a_token(self, side: int, choice: int) -> None:
        token, response = self.ask_with(side, choice, "GET", "/product/access")
        assert response.status_int == (401 if token.is_pruned else 200)
        assert token.is_pruned or response.json == self.sides[side].model.accessible(token)

    @rule(side=sides, choice=choices, name=products)
    def create_product(self, side: int, choice: int, name: str) -> None:
        token, response = self.ask_with(side, choice, "PUT", "/product/create", {"name": name})
        assert response.status_int == self.sides[side].model.create_product(token, name)

    @rule(side=sides, choice=choices, name=products, whose=sides, to=choices, flags=flags)
    def grant(
        self, side: int, choice: int, name: str, whose: int, to: int, flags: tuple[str, ...]
    ) -> None:
        """To a token of whichever organisation."""
        target = one_of(self.sides[whose].model.tokens, to)
        permissions = dict.fromkeys(flags, True)
        wish = {"product": name, "token": target.digest, "permissions": permissions}
        token, response = self.ask_with(side, choice, "PUT", "/product/modify/addToken", wish)
        expected = self.sides[side].model.grant(token, name, target.digest, flags)
        assert response.status_int == expected, response

    @rule(side=sides, choice=choices, name=products, whose=sides, to=choices)
    def remove_grant(self, side: int, choice: int, name: str, whose: int, to: int) -> None:
        target = one_of(self.sides[whose].model.tokens, to)
        wish = {"product": name, "token": target.plain}
        token, response = self.ask_with(side, choice, "DELETE", "/product/modify/deleteToken", wish)
        expected = self.sides[side].model.remove_grant(token, name, target.digest)
        assert response.status_int == expected, response

    @rule(side=sides, choice=choices, name=products, version=identifiers, content=contents)
    def upload_artifact(
        self, side: int, choice: int, name: str, version: str, content: int
    ) -> None:
        owner = self.sides[side]
        token = one_of(owner.model.tokens, choice)
        data = owner.text(content).encode()
        parts = [text_part("product", name), text_part("version", version), file_part(data)]
        client = TokenClient(self.hub, owner.slug, token.plain)
        response = self.ask(side, "POST", "/product/upload", multipart(parts), FORM, client)
        digest = hashlib.sha256(data).hexdigest()
        expected = owner.model.upload(token, name, version, digest, len(data))
        assert response.status_int == expected, response
        assert expected != 201 or response.json["checksum"] == f"sha256:{digest}"

    @rule(side=sides, choice=choices, name=products, version=identifiers, strict=st.booleans())
    def delete_artifact(
        self, side: int, choice: int, name: str, version: str, strict: bool
    ) -> None:
        """In either way: maintainers may do it in one of them only."""
        path, wish = "/product/modify/deleteVersion", {"product": name, "version": version}
        if strict:
            path, wish = f"/product/delete/{name}/{version}", {}
        token, response = self.ask_with(side, choice, "DELETE", path, wish or None)
        enough = ("delete",) if strict else ("delete", "maintainer")
        expected = self.sides[side].model.delete_version(token, name, version, *enough)
        assert response.status_int == (204 if strict and expected == 200 else expected), response

    @rule(side=sides, choice=choices, name=products)
    def delete_product(self, side: int, choice: int, name: str) -> None:
        token, response = self.ask_with(side, choice, "DELETE", f"/product/delete/{name}")
        expected = self.sides[side].model.delete_product(token, name)
        assert response.status_int == expected, response

    @rule(side=sides, choice=choices, name=products, version=identifiers)
    def download_artifact(self, side: int, choice: int, name: str, version: str) -> None:
        model = self.sides[side].model
        path = f"/product/download/{name}/{version}"
        token, response = self.ask_with(side, choice, "GET", path)
        refusal = model.refusal(token, name, "download")
        known = None if refusal else model.products[name].versions.get(version)
        assert response.status_int == (refusal or (404 if known is None else 200)), response
        if known is not None:
            assert (hashlib.sha256(response.body).hexdigest(), len(response.body)) == known

    def _check_product(self, side: int, choice: int, name: str) -> None:
        model = self.sides[side].model
        token, response = self.ask_with(side, choice, "GET", f"/product/fetch/{name}")
        refusal = model.refusal(token, name)
        assert response.status_int == (refusal or 200), response
        if refusal is None:
            known = model.products[name]
            granted = {
                digest: frozenset(flag for flag, is_set in each.items() if is_set)
                for digest, each in response.json["tokens"].items()
            }
            assert granted == known.grants
            assert known.versions == {
                identifier: (each["checksum"].removeprefix("sha256:"), each["size"])
                for identifier, each in response.json["versions"].items()
            }

    @precondition(lambda self: bool(self.sides))
    @invariant()
    def each_has_its_own_products(self) -> None:
        for number, side in enumerate(self.sides):
            _, response = self.ask_with(number, 0, "GET", "/product/access")
            assert response.json == sorted(side.model.products)

    @rule(side=sides)
    def look_at_everything(self, side: int) -> None:
        super().look_at_everything(side)
        for choice, name in itertools.product(range(3), PRODUCTS):
            self._check_product(side, choice, name)
            for version in ARTIFACTS:
                self.download_artifact(side, choice, name, version)

    def actors(self, side: Side) -> set[str]:
        """Tokens act too."""
        return super().actors(side) | {token_name(digest) for digest in side.model.tokens}
