"""A hub in this process, called through WebTest, and clients of its organisations."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from webtest import TestApp, TestResponse

import hubrepo
from hubrepo.kernel.accounts import AccountService, Organisation
from hubrepo.kernel.audit import Actor, AuditLog, events_of
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import tidy
from hubrepo.kernel.web import make_router
from tests.support.archives import package_zip, page_zip

_numbers = itertools.count(1)


@dataclass
class Hub:
    """The application, its parts, and organisations made on demand. Each test brings its own."""

    settings: Mapping[str, str]
    registry: Any = field(init=False)
    wsgi: Any = field(init=False)

    def __post_init__(self) -> None:
        config = hubrepo.configure(self.settings)
        self.registry = config.registry
        hubrepo.prepare_database(self.registry)
        tidy(self.registry)
        self.wsgi = make_router(config)

    @classmethod
    def below(cls, folder: Path, **settings: str) -> "Hub":
        """A hub whose rows, and by default whose bytes, lie below `folder`."""
        return cls(
            {
                "hubrepo.database": f"sqlite:///{folder}/hub.sqlite",
                "hubrepo.blobs": f"osfs://{folder}/blobs",
                "hubrepo.migrate_on_start": "true",
                "hubrepo.metrics": "true",
                "hubrepo.security.failures_per_minute": "0",
                **{f"hubrepo.{key.replace('__', '.')}": value for key, value in settings.items()},
            }
        )

    def organisation(self, **key: Any) -> "Client":
        """A client of a new organisation."""
        slug = f"org-{next(_numbers)}"
        with self.registry.database.write() as db:
            accounts = self.accounts(db)
            accounts.create_organisation(slug.upper(), slug)
        return Client(self, slug, self.issue_key(slug, **key))

    @staticmethod
    def accounts(db: Any) -> AccountService:
        """The account rules, as an operator calls them."""
        return AccountService(db, AuditLog(db, Actor("operator:test"), now()), now())

    def issue_key(self, slug: str, user: str | None = None, **wish: Any) -> str:
        """A new key, in clear; its user is made a member if need be."""
        with self.registry.database.write() as db:
            accounts = self.accounts(db)
            organisation = accounts.organisation(slug)
            if user is not None:
                accounts.attach(organisation, user, None)
            wish.setdefault("label", "test")
            return accounts.issue_key(organisation, username=user, **wish).plain

    def app(self, **environ: str) -> TestApp:
        """A caller without a credential."""
        return TestApp(self.wsgi, extra_environ={"REMOTE_ADDR": "127.0.0.1", **environ})


@dataclass
class Client:
    """Calls the hub with a key of one organisation."""

    hub: Hub
    slug: str
    key: str
    prefix: str = ""

    def __post_init__(self) -> None:
        self.app = self.hub.app(HTTP_AUTHORIZATION=f"Api-Key {self.key}", SCRIPT_NAME=self.prefix)

    def call(self, method: str, path: str, body: bytes = b"", **options: Any) -> TestResponse:
        """Any method; every status is fine unless `status` says which."""
        headers = dict(options.pop("headers", {}))
        if content_type := options.pop("content_type", None):
            headers["Content-Type"] = content_type
        status = options.pop("status", "*")
        url = self.prefix + quote(path, safe="/%?&=-_.~+,;:@!$'()*")
        return self.app.request(
            url,
            method=method,
            body=body,
            headers=headers,
            status=status,
            environ={"SCRIPT_NAME": self.prefix},
        )

    def get(self, path: str, status: int = 200, **options: Any) -> TestResponse:
        """GET."""
        return self.call("GET", path, status=status, **options)

    def send_json(
        self, method: str, path: str, value: object, status: int = 200, **options: Any
    ) -> TestResponse:
        """Any method with a JSON body."""
        body = json.dumps(value).encode()
        return self.call(
            method, path, body, content_type="application/json", status=status, **options
        )

    def delete(self, path: str, status: int = 204, **options: Any) -> TestResponse:
        """DELETE without a body."""
        return self.call("DELETE", path, status=status, **options)

    def upload(
        self,
        path: str,
        archive: bytes | None,
        fields: Mapping[str, str] | None = None,
        status: int = 201,
        **options: Any,
    ) -> TestResponse:
        """POST a multipart form as a browser writes it."""
        files = [("file", "upload.zip", archive)] if archive is not None else []
        content_type, body = self.app.encode_multipart(list((fields or {}).items()), files)
        return self.call("POST", path, body, content_type=content_type, status=status, **options)

    def publish(
        self,
        name: str,
        archive: bytes | None = None,
        status: int = 201,
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Any:
        """Publish a version; what the hub answered, as a value."""
        data = package_zip(name) if archive is None else archive
        path = f"/api/packages/{name}/versions"
        return self.upload(path, data, fields, status, headers=headers or {}).json

    def publish_page(
        self,
        path: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
        status: int = 201,
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> Any:
        """Publish a page; what the hub answered, as a value."""
        archive = page_zip(path, files)
        return self.upload("/api/pages", archive, fields, status, headers=headers or {}).json

    def visit(
        self, path: str, status: int = 200, method: str = "GET", **headers: str
    ) -> TestResponse:
        """What a stranger is answered at `path` of this organisation's pages."""
        url = f"{self.prefix}/pages/{self.slug}/{quote(path, safe='/%?&=-_.~+,;:@!$()*')}"
        return self.hub.app().request(
            url,
            method=method,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            status=status,
            environ={"SCRIPT_NAME": self.prefix},
        )

    def download(self, name: str, number: int | str) -> bytes:
        """The bytes of a version."""
        body: bytes = self.get(f"/api/packages/{name}/versions/{number}/download").body
        return body

    def events(self, limit: int = 100) -> list[Any]:
        """The organisation's audit, newest first."""
        self.hub.registry.afterwards.settle()
        with self.hub.registry.database.read() as db:
            organisation_id = db.query(Organisation.id).filter_by(slug=self.slug).scalar()
            return list(events_of(db, organisation_id, limit=limit))
