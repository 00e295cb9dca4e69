"""A PostgreSQL server of the tests' own, on a free port of this machine, and databases in it.

It is told not to wait for the disk: what it answers survives the end of any process, only not a
power failure. Its words are sorted as people sort them, so that a query which forgot to ask for the
order of code points is found out.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Pool, create_engine, event, make_url, text

import hubrepo
from tests.support.process import free_port

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
_USER, PASSWORD = "hub", "a-password-nobody-may-see"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "log_lock_waits": "on",
    # Deadlocks are looked for as late as anywhere else: what waits for them is found out.
    "deadlock_timeout": "1s",
}
# Ends the server when whoever holds the other end of its input closes it, or is no more.
_WATCH = 'read -r _; "$@" >/dev/null 2>&1; cd /; rm -rf "$FOLDER"'


def programs() -> Path | None:
    """The folder of the newest server that is installed; None if there is none."""
    found = [each for place in _PLACES for each in Path("/").glob(place[1:])]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    whole = [each for each in found if (each / "initdb").exists() and (each / "pg_ctl").exists()]
    return max(whole, key=_major, default=None)


def _major(bin_folder: Path) -> int:
    said = subprocess.check_output([bin_folder / "pg_ctl", "--version"], text=True)
    return int(said.split()[2].split(".")[0])


def missing() -> str | None:
    """Why there is no server here; None if there is one."""
    return "no PostgreSQL server: apt-get install postgresql" if programs() is None else None


class PostgreSQL:
    """A server that runs while its `with` block does, and no longer than this process.

    `settings` take the place of its usual ones.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = {**_SETTINGS, **settings}
        found = programs()
        assert found is not None, missing()
        self._bin = found
        self.port = free_port()
        self._numbers = count(1)
        # Not below pytest's folders: the server's own user must be able to go there.
        self.folder = Path(tempfile.mkdtemp(prefix="hubrepo-postgresql-"))
        self._data = self.folder / "data"
        self._watch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self._watch = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH, "watch", *self._command("pg_ctl", *self._stopping)],
                stdin=subprocess.PIPE,
                env={**os.environ, "FOLDER": str(self.folder)},
                # Ctrl-C is for the tests; it would end this too soon.
                start_new_session=True,
            )
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server, and remove all that it wrote."""
        if self._watch is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        self._watch.communicate(timeout=60)
        self._watch = None

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            # The server refuses to run as root.
            shutil.chown(self.folder, "postgres")
            shutil.chown(secret, "postgres")
        newer = ("--locale-provider=icu", "--icu-locale=da-DK") if _major(self._bin) >= 15 else ()
        self._call(
            "initdb", "-D", str(self._data), "-U", _USER, "--pwfile", str(secret),
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", *newer, "--no-sync",
        )  # fmt: skip
        lines = "".join(f"{name} = '{value}'\n" for name, value in self._settings.items())
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{lines}port = {self.port}\n")

    def _command(self, program: str, *arguments: str) -> list[str]:
        line = [str(self._bin / program), *arguments]
        if os.geteuid() != 0:
            return line
        as_user = ("--reuid=postgres", "--regid=postgres", "--clear-groups")
        return ["setpriv", *as_user, "--", *line]

    def _call(self, program: str, *arguments: str) -> None:
        # Into a file: the server keeps open what it is started with.
        with (self.folder / "commands.log").open("ab") as log:
            done = subprocess.run(
                self._command(program, *arguments),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError((self.folder / "commands.log").read_text()[-4000:])

    @property
    def _stopping(self) -> tuple[str, ...]:
        return ("-D", str(self._data), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        log = str(self.folder / "server.log")
        self._call("pg_ctl", "-D", str(self._data), "-l", log, "-w", "start")

    def restart(self) -> None:
        """End it as a power switch does, and start it again: it recovers what was committed."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it as a power switch ends it, for its clients."""
        self._call("pg_ctl", *self._stopping)

    def url(self, database: str, password: str = PASSWORD) -> str:
        """A database of this server, as an ini file names it."""
        return f"postgresql://{_USER}:{password}@127.0.0.1:{self.port}/{database}"

    def fresh(self, template: str = "template1") -> str:
        """Make an empty database, or a copy of `template`, and return its URL."""
        name = f"hub_{next(self._numbers)}"
        self._operate(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    @cached_property
    def migrated(self) -> str:
        """The name of a database with the tables of all features, to be copied."""
        url = self.fresh()
        config = hubrepo.configure({"hubrepo.database": url, "hubrepo.blobs": "mem://"})
        hubrepo.prepare_database(config.registry, migrate=True)
        config.registry.database.close()
        return str(make_url(url).database)

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self._operate(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def _operate(self, statement: str) -> None:
        with connected(self.url("postgres")) as connection:
            connection.execute(text(statement))


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection to a database that is no hub's: what it does is committed at once."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


class Databases:
    """A database for each folder that hubs lie below: hubs below one folder share their rows."""

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server
        self._urls: dict[Path, str] = {}
        self._opened: dict[str, list[Any]] = {}
        event.listen(Pool, "connect", self._note)

    def close(self) -> None:
        """End all connections that are left."""
        event.remove(Pool, "connect", self._note)
        for name in list(self._opened):
            self._end(name)

    def _note(self, connection: Any, _record: object) -> None:
        if (info := getattr(connection, "info", None)) is not None:
            self._opened.setdefault(info.dbname, []).append(connection)

    def below(self, folder: Path) -> str:
        """The URL of the folder's database, which is made at first."""
        if folder not in self._urls:
            self._urls[folder] = self._server.fresh(self._server.migrated)
        return self._urls[folder]

    def drop_below(self, folder: Path) -> None:
        """Remove the databases of `folder`, and of all folders in it."""
        for each in [each for each in self._urls if each.is_relative_to(folder)]:
            url = self._urls.pop(each)
            self._end(str(make_url(url).database))
            self._server.drop(url)

    def _end(self, database: str) -> None:
        """End the connections of hubs that were let go of as on SQLite, without a good-bye."""
        for connection in self._opened.pop(database, []):
            connection.close()
