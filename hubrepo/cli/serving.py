"""Making a hub ready, and serving it, in one process or in several."""

import shutil
import signal
import socket
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import IntegrityError

import hubrepo
from hubrepo.cli.accounts import organisation_line
from hubrepo.cli.command import Command
from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.web import share_metrics
from hubrepo.server import Address, Server, addresses_of, listen_at
from hubrepo.workers import Master, Worker

MOST_WORKERS = 256


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port, instead of the one in the ini file."
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    help="Processes that answer at that port, instead of `workers` in the ini file (1 without it).",
)
@click.pass_obj
def serve(command: Command, port: int | None, workers: int | None) -> None:
    """Serve over HTTP, until interrupted.

    In an empty hub whose ini file has hubrepo.first_organisation, that organisation is created
    first, and its key shown.
    """
    overrides = {"http_port": str(port)} if port else {}
    settings = dict(command.loader.get_settings("server:main", overrides))
    runner, line = settings.pop("use", ""), settings.pop("workers", "1")
    if "listen" not in settings:
        raise Misconfigured("[server:main] has no line `listen`: without it, only pserve can serve")
    settings["listen"] = listen_at(settings["listen"], overrides)
    serving = Serving(command, overrides, settings, addresses_of(settings))
    if (count := workers or _workers_line(line)) == 1:
        serving.alone()
    else:
        _refuse_what_cannot_fork(runner)
        serving.together(count)


def _workers_line(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= MOST_WORKERS:
        return int(text)
    raise Misconfigured(f"workers must be a number from 1 to {MOST_WORKERS}, not {text!r}")


def _refuse_what_cannot_fork(runner: str) -> None:
    if not hasattr(socket, "SO_REUSEPORT") or not hasattr(signal, "pthread_sigmask"):
        raise click.ClickException(
            "several workers need a system that lets them share a port (SO_REUSEPORT): try Linux"
        )
    if runner.removesuffix("#main") != "egg:hubrepo":
        raise click.ClickException("several workers need `use = egg:hubrepo` in [server:main]")


@dataclass(frozen=True)
class Serving:
    """One call of `serve`: what it replaces in the ini file, and waitress's settings from there."""

    command: Command
    overrides: dict[str, str]
    settings: dict[str, str]
    addresses: list[Address]

    @property
    def url(self) -> str:
        """Where the hub will be found."""
        return f"http://{self.addresses[0]}{self.settings.get('url_prefix', '').rstrip('/')}"

    def alone(self) -> None:
        """Serve in this process."""
        loader = self.command.loader
        registry = self.command.registry
        hubrepo.prepare_database(registry)
        loader.setup_logging(self.overrides)
        self._check_free()
        _bootstrap_first(self.command, self.url)
        registry.database.close()
        application = loader.get_wsgi_app(defaults=self.overrides)
        click.echo(f"Serving at {self.url}")
        loader.get_wsgi_server(defaults=self.overrides)(application)

    def together(self, count: int) -> None:
        """Serve in `count` processes. This one only watches them."""
        self._check_free()
        self.command.loader.setup_logging(self.overrides)
        master = Master()
        # Held by the master, so that the port is not another's while a worker is replaced.
        held = [address.bind(shared=True) for address in self.addresses]
        ports = [each.getsockname()[1] for each in held]
        places = [replace(a, port=port) for a, port in zip(self.addresses, ports, strict=True)]
        these = replace(self, addresses=places)
        folder = Path(tempfile.mkdtemp(prefix="hubrepo-metrics-"))
        code = master.once(lambda _: these.prepare())
        if code == 0:
            click.echo(f"Serving at {these.url} with {count} workers")
            code = master.keep(count, lambda worker: these.work(worker, held, folder))
        # Not in a `finally`: workers leave through here by an error.
        shutil.rmtree(folder, ignore_errors=True)
        raise SystemExit(0 if master.is_ending else code)

    def prepare(self) -> None:
        """What is done once, before there are workers, in a process of its own."""
        registry = self.command.registry
        _refuse_what_is_not_shared(registry)
        hubrepo.prepare_database(registry)
        registry.stores.look_for_bytes(registry.database)
        _bootstrap_first(self.command, self.url)
        hubrepo.tidy_at_start(registry)
        registry.database.close()

    def work(self, worker: Worker, held: list[socket.socket], folder: Path) -> None:
        """What a worker does: the same as a process alone, at a port that it shares."""
        for each in held:
            each.close()
        share_metrics(folder, worker.number)
        loader = self.command.loader
        loader.setup_logging(self.overrides)
        application = loader.get_wsgi_app(defaults={**self.overrides, hubrepo.TIDIED: "true"})
        sockets = [address.bind(shared=True) for address in self.addresses]
        server = Server(application, self.settings, sockets)
        server.end_on_signals()
        worker.when_orphaned(server.end)
        worker.say_up()
        server.run()
        if worker.is_orphan:
            shutil.rmtree(folder, ignore_errors=True)

    def _check_free(self) -> None:
        """Fail before the only key is shown, not after; and where others share the port already."""
        for address in self.addresses:
            try:
                address.bind().close()
            except OSError as error:
                raise click.ClickException(
                    f"cannot listen at {address}: {error.strerror}"
                ) from None


def _refuse_what_is_not_shared(registry: Any) -> None:
    """Raise where each worker would keep things for itself."""
    if not all(store.is_shared for _, store in registry.stores):
        raise Misconfigured("a store is in memory, which several workers cannot share")
    url = registry.database.engine.url
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise Misconfigured("hubrepo.database is in memory, which several workers cannot share")


def _bootstrap_first(command: Command, url: str) -> None:
    slug = command.registry.account_settings.first_organisation
    if not slug:
        return
    try:
        with command.accounts("organisation:create", f"organisation:{slug}") as accounts:
            if accounts.has_organisations():
                return
            organisation = accounts.create_organisation(slug.capitalize(), slug)
            key = accounts.issue_key(organisation, label="bootstrap key")
    except IntegrityError:
        return  # Another hub over the same database starts at this moment, and was first.
    click.echo(f"Created organisation: {organisation_line(slug.capitalize(), slug)}")
    click.echo("Try it with its key, which is shown only this once:\n")
    click.echo(f'    curl -H "Authorization: Api-Key {key.plain}" {url}/api/packages\n')


@click.command()
@click.pass_obj
def init(command: Command) -> None:
    """Create the database, or migrate it to this version."""
    hubrepo.prepare_database(command.registry, migrate=True)
    click.echo("The database is up to date.")


COMMANDS = (init, serve)
