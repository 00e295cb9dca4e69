"""Callers of artifacts, who look at every answer; and what is kept of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from webtest import TestResponse

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.blobs import Blob, key_of
from hubrepo.kernel.db import Base
from tests.support.hub import Client, Hub, TokenClient

# Every operation with what it needs; `{}` is a token. In this order, an admin of an organisation that has
# `my-lib` with `v1` is refused none of them; the upload is `v2`.
OPERATIONS: list[tuple[str, str, object]] = [
    ("GET", "/health", None),
    ("PUT", "/register", {}),
    ("GET", "/fetch/{}", None),
    ("GET", "/product/access", None),
    ("PUT", "/product/create", {"name": "new-lib"}),
    ("GET", "/product/fetch/my-lib", None),
    ("PUT", "/product/modify/addToken", {"product": "my-lib", "token": "{}", "permissions": {}}),
    ("DELETE", "/product/modify/deleteToken", {"product": "my-lib", "token": "{}"}),
    ("POST", "/product/upload", None),
    ("GET", "/product/download/my-lib/v1", None),
    ("DELETE", "/product/delete/my-lib/v1", None),
    ("DELETE", "/product/modify/deleteVersion", {"product": "my-lib", "version": "v2"}),
    ("DELETE", "/product/delete/my-lib", None),
    ("DELETE", "/prune/{}", None),
]

# The number of digits of a raw token.
LENGTH = 48
UNKNOWN = "0" * LENGTH


def assert_refused(response: TestResponse, status: int, *words: str) -> None:
    """The answer is `{"error": …}`, whose sentence has these words."""
    assert response.status_int == status, response.body
    assert_readable(response)
    if response.request.method != "HEAD":
        assert [each for each in words if each not in response.json["error"]] == []


def assert_readable(response: TestResponse) -> None:
    """An error is what this surface's clients can read; no success is an empty 200."""
    if response.request.method == "HEAD":
        assert response.body == b""
    elif response.status_int < 400:
        is_json = response.content_type != "application/octet-stream"
        assert response.body or not is_json or response.status_int not in {200, 201}
    else:
        assert response.headers["Content-Type"] == "application/json"
        error = response.json
        assert isinstance(error["error"], str)
        assert error["error"]
        assert set(error) <= {"error", "details"}
        assert isinstance(error.get("details", {}), dict)


def sha256(text: str | bytes) -> str:
    """In hex."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


@dataclass
class Caller(TokenClient):
    """A token; with a key of None no token."""

    key: str | None  # type: ignore[assignment]

    @property
    def credential(self) -> dict[str, str]:
        """The token, in its own header."""
        return {} if self.key is None else super().credential

    def call(self, method: str, path: str, body: bytes = b"", **options: Any) -> TestResponse:
        """Any method; the answer can be read, and has no raw token in it unless it is for that."""
        response = super().call(method, path, body, **options)
        place = path.partition("?")[0].removeprefix("/api").rstrip("/")
        if place != "/health" or response.status_int != 503:
            assert_readable(response)
        if self.key and len(self.key) == LENGTH and place != "/register":
            assert self.key not in str((response.headerlist, response.body))
        return response

    def refused(
        self, status: int, method: str, path: str, value: object = None, *words: str
    ) -> TestResponse:
        """An error, with a JSON body or none."""
        body = b"" if value is None else json.dumps(value).encode()
        response = self.call(method, path, body)
        assert_refused(response, status, *words)
        return response

    def form(
        self,
        fields: Mapping[str, str],
        file: tuple[str, bytes] | None = ("artifact.bin", b"content"),
        status: int | str = "*",
    ) -> TestResponse:
        """POST a form to `/product/upload`."""
        files = [] if file is None else [("file", *file)]
        content_type, body = self.app.encode_multipart(list(fields.items()), files)
        return self.call("POST", "/product/upload", body, content_type=content_type, status=status)

    def registered(self, **wish: object) -> "Caller":
        """One more token of the organisation."""
        return self.like(self.send_json("PUT", "/register", wish, 201).text)

    def like(self, key: str | None) -> "Caller":
        """The same caller with another token."""
        return Caller(self.hub, self.slug, key)

    def product(self, name: str = "my-lib") -> Any:
        """A product, as a value."""
        return self.get(f"/product/fetch/{name}").json

    def versions(self, name: str = "my-lib") -> list[str]:
        """The identifiers of a product's versions."""
        return list(self.product(name)["versions"])

    def accessible(self) -> list[str]:
        """The names in `/product/access`."""
        names: list[str] = self.get("/product/access").json
        return names

    def prune(self, which: str) -> TestResponse:
        """Prune a token."""
        return self.delete(f"/prune/{which}")


def caller(owner: Client, *, admin: bool = False) -> Caller:
    """A new token of an organisation."""
    return Caller(owner.hub, owner.slug, owner.hub.issue_token(owner.slug, admin=admin))


def with_my_lib(hub: Hub, *, admin: bool = False) -> Caller:
    """A token of a new organisation that has `my-lib` and nothing else."""
    client = caller(hub.organisation(), admin=admin)
    client.create("my-lib")
    return client


def kept(client: Client) -> set[str]:
    """The digests of all that an organisation keeps; rows and store must agree."""
    registry = client.hub.registry
    with registry.database.read() as db:
        owner = db.execute(
            select(Organisation.id, Organisation.guid).where(Organisation.slug == client.slug)
        ).one()
        digests = set(db.scalars(select(Blob.digest).where(Blob.organisation_id == owner.id)))
    lying = {each.key for each in registry.stores.main.list(owner.guid.hex)}
    assert lying == {key_of(owner.guid.hex, each) for each in digests}
    return digests


def all_rows(hub: Hub) -> str:
    """Everything in the database, as one text."""
    hub.registry.afterwards.settle()
    with hub.registry.database.read() as db:
        return "\n".join(
            str(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in db.execute(select(table))
        )
