"""What every command stands on: the hub that an ini file describes, and who acts on it."""

import configparser
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import plaster
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import hubrepo
from hubrepo.kernel.accounts import AccountService, Organisation
from hubrepo.kernel.audit import Actor, AuditLog, Refusal
from hubrepo.kernel.base import HubError, Misconfigured, now, one_line

# What a command may end with: our own errors, and the operating system's, PasteDeploy's, the ini file's
# and the database's.
EXPECTED = (HubError, Misconfigured, OSError, LookupError, configparser.Error, SQLAlchemyError)


def sentence_of(error: Exception) -> str:
    """Why a command could not do what it should: one of EXPECTED, in one sentence."""
    if isinstance(error, Misconfigured):
        return str(error)
    if isinstance(error, HubError):
        cause = f": {one_line(str(error.__cause__))}" if error.__cause__ else ""
        return f"{error.message}{cause}"
    return f"{type(error).__name__}: {one_line(str(getattr(error, 'orig', error)))}"


slug_option = click.option("--org", "slug", required=True, help="Slug of the organisation.")


@dataclass(frozen=True)
class Command:
    """One call of a command: the hub that its ini file describes, and who runs it."""

    ini: str

    @cached_property
    def loader(self) -> Any:
        """What reads the ini file."""
        path = Path(self.ini).absolute()
        if not path.is_file():
            raise click.ClickException(f"there is no {self.ini}: name an ini file with -c")
        if strange := set("#?%") & set(str(path)):
            raise click.ClickException(
                f"the folder of {path} has a {strange.pop()!r} in its name, which URLs read otherwise"
            )
        return plaster.get_loader(self.ini, protocols=["wsgi"])

    @cached_property
    def registry(self) -> Any:
        """The parts of the hub, put together but not serving."""
        return hubrepo.configure(self.loader.get_settings("app:main")).registry

    def close(self) -> None:
        """Say good-bye to the database, if it was asked anything."""
        if "registry" in vars(self):
            self.registry.database.close()

    @contextmanager
    def accounts(
        self, action: str, subject: str, slug: str | None = None
    ) -> Iterator[AccountService]:
        """The account rules, in a transaction of their own. A refusal is noted, and ends the command."""
        with self.changing(action, subject, slug) as (db, log):
            yield AccountService(db, log, now())

    @contextmanager
    def changing(
        self, action: str, subject: str, slug: str | None = None
    ) -> Iterator[tuple[Session, AuditLog]]:
        """A transaction, and the audit in it. A refusal is noted, and ends the command."""
        database = self.prepared().database
        try:
            with database.write() as db:
                yield db, self.log(db)
        except HubError as error:
            with database.write() as db:
                organisation_id = db.scalar(
                    select(Organisation.id).where(Organisation.slug == slug)
                )
                self.log(db).refuse(Refusal.of(action, subject, error), organisation_id)
            raise

    def prepared(self) -> Any:
        """The parts of the hub, its database up to date. Raises Misconfigured."""
        hubrepo.prepare_database(self.registry)
        return self.registry

    @staticmethod
    def log(db: Session) -> AuditLog:
        """The audit, as the one who runs the command writes it."""
        return AuditLog(db, Actor(f"operator:{_operator()}"), now())


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
