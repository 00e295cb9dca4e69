"""Hubs in this process that a browser can visit, and that know people by a cookie."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import hubrepo
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.server import Server
from tests.browser import sessions
from tests.browser.sites import Files
from tests.support.browser import Browser
from tests.support.hub import Client, Hub
from tests.support.process import free_port

HUB, PAGES = "hub.localhost", "pages.localhost"


@dataclass
class Place:
    """A hub below a prefix, and the host of its pages. `acme` has a key of an organisation."""

    acme: Client
    port: int
    host: str
    prefix: str

    @property
    def hub(self) -> str:
        """Where the API is."""
        return f"http://{HUB}:{self.port}{self.prefix}"

    @property
    def is_sandbox(self) -> bool:
        """Whether pages are on the host of the API."""
        return self.host == HUB

    @property
    def origin(self) -> str:
        """That of the pages, as their scripts see it."""
        return "null" if self.is_sandbox else f"http://{self.host}:{self.port}"

    def path(self, page: str) -> str:
        """Where a page is, on its host, without the last slash."""
        return f"{self.prefix}/pages/{self.acme.slug}/{page}"

    def url(self, page: str) -> str:
        """The whole of it."""
        return f"http://{self.host}:{self.port}{self.path(page)}"

    def publish(self, page: str, files: Files) -> str:
        """Publish a page; its URL, without the last slash."""
        self.acme.publish_page(page, files)
        return self.url(page)

    @property
    def asked(self) -> list[sessions.Asked]:
        """What the API was asked."""
        asked: list[sessions.Asked] = self.acme.hub.registry.sessions.asked
        return asked

    def sign_in(self, browser: Browser, same_site: str) -> None:
        """From now on the browser acts for a person of the organisation."""
        cookie = secrets.token_hex()
        with self.acme.hub.registry.database.read() as db:
            row = db.query(Organisation).filter_by(slug=self.acme.slug).one()
            organisation = OrganisationRef(row.id, row.guid, row.slug, row.max_upload_size)
        self.acme.hub.registry.sessions.known[cookie] = organisation
        browser.remember(self.hub, sessions.COOKIE, cookie, same_site)
        self.asked.clear()


@contextmanager
def place(folder: Path, host: str, prefix: str = "") -> Iterator[Place]:
    """A hub with sessions whose pages are on `host`."""
    port = free_port()
    settings = {} if host == HUB else {"pages_host": f"{host}:{port}"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hubrepo, "FEATURES", (*hubrepo.FEATURES, sessions.__name__))
        hub = Hub.below(folder, **settings)
    listen = {"host": "127.0.0.1", "port": port, "threads": 8, "url_prefix": prefix}
    server = Server(hub.wsgi, listen)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Place(hub.organisation(), port, host, prefix)
    finally:
        server.end()
        thread.join()
        hub.registry.database.close()
