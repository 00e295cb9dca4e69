"""Hubs that a browser can visit: one in a process of its own, one that people are signed in to."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from webtest.http import StopableWSGIServer

import hubrepo
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from tests.browser import sessions
from tests.support.archives import page_zip
from tests.support.browser import Browser
from tests.support.hub import Client, Hub
from tests.support.process import FORM_TYPE, HubProcess, free_port, multipart

HUB, PAGES = "hub.localhost", "pages.localhost"


@dataclass
class Place:
    """Where pages are: on the hub's own host, or on another, and behind which prefix."""

    process: HubProcess
    host: str

    @property
    def origin(self) -> str:
        """As scripts know it, if they may."""
        return f"http://{self.host}:{self.process.port}"

    @property
    def is_sandbox(self) -> bool:
        """Whether it is the host of the API."""
        return self.host == HUB

    def path(self, path: str) -> str:
        """Where a page is, on its host, without the last slash."""
        return f"{self.process.prefix}/pages/acme/{path}"

    def publish(self, path: str, files: Mapping[str, str | bytes]) -> str:
        """Publish a page; its URL, without the last slash."""
        form = multipart(path, page_zip(path, files))
        with self.process.wire() as wire:
            api = f"{self.process.prefix}/api/pages"
            answer = wire.ask("POST", api, form, {"Content-Type": FORM_TYPE})
        assert answer.status == 201, answer.body
        return self.origin + self.path(path)


@contextmanager
def place(folder: Path, host: str, prefix: str = "") -> Iterator[Place]:
    """A hub whose pages are on `host`."""
    port = free_port()
    settings = {} if host == HUB else {"pages_host": f"{host}:{port}"}
    with HubProcess(folder, settings, {"url_prefix": prefix} if prefix else {}, port) as process:
        yield Place(process, host)


@dataclass
class Office:
    """A hub that knows people by a cookie. `acme` has a key of the organisation they are in."""

    acme: Client
    port: int
    host: str

    @property
    def hub(self) -> str:
        """The origin of the API."""
        return f"http://{HUB}:{self.port}"

    @property
    def origin(self) -> str:
        """That of the pages, as their scripts see it."""
        return "null" if self.host == HUB else f"http://{self.host}:{self.port}"

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
def office(folder: Path, host: str) -> Iterator[Office]:
    """A hub with sessions, in this process, whose pages are on `host`."""
    port = free_port()
    settings = {} if host == HUB else {"pages_host": f"{host}:{port}"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hubrepo, "FEATURES", (*hubrepo.FEATURES, sessions.__name__))
        hub = Hub.below(folder, **settings)
    server = StopableWSGIServer.create(hub.wsgi, host="127.0.0.1", port=port, threads=8)
    try:
        yield Office(hub.organisation(), port, host)
    finally:
        server.shutdown()
        server.runner.join()
        hub.registry.database.close()
