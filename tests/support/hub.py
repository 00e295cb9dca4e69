"""A hub in this process, called through WebTest, and clients of its organisations."""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
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
from tests.support.described import CheckedApp, Described, described_by
from tests.support.features import HAS_ARTIFACTS
from tests.support.leaks import KEY, note_token, tokens_in

_numbers = itertools.count(1)


@cache
def migrated(_features: tuple[str, ...]) -> bytes:
    """A file of SQLite as the migrations of these features make it: a copy takes no time."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "hub.sqlite")
        config = hubrepo.configure(
            {"hubrepo.database": f"sqlite:///{file}", "hubrepo.blobs": "mem://"}
        )
        hubrepo.prepare_database(config.registry, migrate=True)
        config.registry.database.close()
        return file.read_bytes()


@dataclass
class Hub:
    """The application, its parts, and organisations made on demand. Each test brings its own."""

    settings: Mapping[str, str]
    registry: Any = field(init=False)
    wsgi: Any = field(init=False)
    described: Described = field(init=False)

    def __post_init__(self) -> None:
        config = hubrepo.configure(self.settings)
        self.registry = config.registry
        hubrepo.prepare_database(self.registry)
        tidy(self.registry)
        self.wsgi = make_router(config)
        self.described = described_by(self.registry.document.content)

    @staticmethod
    def rows_below(folder: Path) -> str:
        """The database of hubs below `folder`; `pytest --database` puts another in its place."""
        return f"sqlite:///{folder}/hub.sqlite"

    @classmethod
    def below(cls, folder: Path, **settings: str) -> "Hub":
        """A hub whose rows, and by default whose bytes, lie below `folder`."""
        rows = Path(cls.rows_below(folder).removeprefix("sqlite:///"))
        if "database" not in settings and rows.parent == folder and not rows.exists():
            folder.mkdir(parents=True, exist_ok=True)
            rows.write_bytes(migrated(hubrepo.FEATURES))
        return cls(
            {
                "hubrepo.database": cls.rows_below(folder),
                "hubrepo.blobs": f"osfs://{folder}/blobs",
                "hubrepo.migrate_on_start": "true",
                "hubrepo.metrics": "true",
                "hubrepo.security.failures_per_minute": "0",
                "hubrepo.security.key_failures_per_minute": "0",
                **{f"hubrepo.{key.replace('__', '.')}": value for key, value in settings.items()},
            }
        )

    @property
    def is_on_sqlite(self) -> bool:
        """Whether rows lie in a file of SQLite: then writers take turns, and reads are remembered."""
        return bool(self.registry.database.engine.dialect.name == "sqlite")

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

    def issue_token(self, slug: str, *, admin: bool = False, label: str = "") -> str:
        """A new raw token for artifacts."""
        # Here: without that feature the others are tested all the same.
        from hubrepo.features.artifacts.services import TokenService

        with self.registry.database.write() as db:
            log = AuditLog(db, Actor("operator:test"), now())
            organisation = AccountService(db, log, now()).organisation(slug)
            tokens = TokenService(db, organisation.id, log, now())
            return note_token(tokens.issue(admin=admin, label=label))

    def app(self, **environ: str) -> TestApp:
        """A caller without a credential."""
        extra_environ = {"REMOTE_ADDR": "127.0.0.1", **environ}
        return CheckedApp(self.wsgi, self.described, extra_environ=extra_environ)


@dataclass
class Client:
    """Calls the hub with a key of one organisation."""

    hub: Hub
    slug: str
    key: str
    prefix: str = ""

    def __post_init__(self) -> None:
        self.app = self.hub.app(SCRIPT_NAME=self.prefix, **self.credential)

    @property
    def credential(self) -> dict[str, str]:
        """What proves who calls, as WSGI has it."""
        return {"HTTP_AUTHORIZATION": f"Api-Key {self.key}"}

    def token(self, *, admin: bool = False) -> "TokenClient":
        """The same organisation with a token for artifacts."""
        return TokenClient(self.hub, self.slug, self.hub.issue_token(self.slug, admin=admin))

    @cached_property
    def artifacts(self) -> "TokenClient":
        """The same organisation with an admin token, always the same one."""
        return self.token(admin=True)

    @property
    def credentials(self) -> dict[str, str]:
        """What proves who calls, at every surface alike."""
        tokens = self.artifacts.credential if HAS_ARTIFACTS else {}
        return {**self.credential, **tokens}

    def call(self, method: str, path: str, body: bytes = b"", **options: Any) -> TestResponse:
        """Any method; every status is fine unless `status` says which."""
        headers = dict(options.pop("headers", {}))
        if content_type := options.pop("content_type", None):
            headers["Content-Type"] = content_type
        status = options.pop("status", "*")
        url = self.prefix + quote(path, safe="/%?&=-_.~+,;:@!$'()*")
        response = self.app.request(
            url,
            method=method,
            body=body,
            headers=headers,
            status=status,
            environ={"SCRIPT_NAME": self.prefix},
        )
        # Keys are shown to whom they are made for, and to nobody else.
        assert response.status_int == 201 or not KEY.search(response.body)
        if response.status_int == 201 and path.rstrip("/").endswith("/register"):
            note_token(response.text)
        else:
            assert not tokens_in(response.body + repr(response.headerlist).encode())
        return response

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


class TokenClient(Client):
    """Calls the hub with a token for artifacts of one organisation."""

    @property
    def credential(self) -> dict[str, str]:
        """The token, in its own header."""
        return {"HTTP_X_API_TOKEN": self.key}

    @property
    def digest(self) -> str:
        """The token's public name."""
        return hashlib.sha256(self.key.encode()).hexdigest()

    def create(self, product: str, status: int = 201) -> Any:
        """A new product; what the hub answered, as a value."""
        return self.send_json("PUT", "/product/create", {"name": product}, status).json

    def grant(self, product: str, to: "TokenClient", *flags: str, status: int = 201) -> Any:
        """Let another token do that with a product."""
        wish = {"product": product, "token": to.key, "permissions": dict.fromkeys(flags, True)}
        return self.send_json("PUT", "/product/modify/addToken", wish, status).json

    def put(
        self,
        product: str,
        version: str,
        content: bytes = b"content",
        filename: str = "artifact.bin",
        status: int = 201,
        **fields: str,
    ) -> Any:
        """Upload a version; what the hub answered, as a value."""
        named = [("product", product), ("version", version), *fields.items()]
        files = [("file", filename, content)]
        content_type, body = self.app.encode_multipart(named, files)
        answer = self.call(
            "POST", "/product/upload", body, content_type=content_type, status=status
        )
        return answer.json

    def fetched(self, product: str, version: str) -> bytes:
        """The bytes of a version."""
        body: bytes = self.get(f"/product/download/{product}/{version}").body
        return body
