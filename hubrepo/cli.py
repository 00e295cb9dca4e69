"""`hubrepo [-c INI] COMMAND`: what those who run a hub do at its side.

The commands call the same services as HTTP does; what they change is in the audit, under the name
of the operating system's user.
"""

import configparser
import getpass
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import plaster
from sqlalchemy.exc import DBAPIError

import hubrepo
from hubrepo.kernel.accounts import SCOPES, AccountService, Limits, NewKey, Organisation
from hubrepo.kernel.audit import Actor, AuditLog, Refusal, events_of
from hubrepo.kernel.base import HubError, Misconfigured, iso_seconds, now, one_line
from hubrepo.kernel.blobs import adopt_orphans, tidy
from hubrepo.server import listen_at


@dataclass(frozen=True)
class Command:
    """One call of a command: the hub that its ini file describes, and who runs it."""

    ini: str

    @cached_property
    def registry(self) -> Any:
        """The parts of the hub, put together but not serving."""
        path = Path(self.ini).absolute()
        if not path.is_file():
            raise click.ClickException(f"there is no {self.ini}: name an ini file with -c")
        if strange := set("#?%") & set(str(path)):
            raise click.ClickException(
                f"the folder of {path} has a {strange.pop()!r} in its name, which URLs read otherwise"
            )
        return hubrepo.configure(plaster.get_settings(self.ini, "app:main")).registry

    @contextmanager
    def accounts(
        self, action: str, subject: str, slug: str | None = None
    ) -> Iterator[AccountService]:
        """The account rules, in a transaction of their own. A refusal is noted, and ends the command."""
        hubrepo.prepare_database(self.registry)
        actor, instant = Actor(f"operator:{_operator()}"), now()
        try:
            with self.registry.database.write() as db:
                yield AccountService(db, AuditLog(db, actor, instant), instant)
        except HubError as error:
            with self.registry.database.write() as db:
                organisations = AccountService(
                    db, AuditLog(db, actor, instant), instant
                ).organisations()
                organisation_id = next(
                    (each.id for each in organisations if each.slug == slug), None
                )
                refusal = Refusal.of(action, subject, error)
                AuditLog(db, actor, instant).refuse(refusal, organisation_id)
            raise click.ClickException(error.message) from None


def _operator() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


class OneSentence(click.Group):
    """A group whose commands end a hub that cannot start with one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Misconfigured as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise  # click ends quietly when nobody reads on
        except (OSError, LookupError, configparser.Error, DBAPIError) as error:
            # What the operating system, PasteDeploy, the ini file or the database say for themselves.
            sentence = one_line(str(getattr(error, "orig", error)))
            raise click.ClickException(f"{type(error).__name__}: {sentence}") from None


@click.group(cls=OneSentence, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "ini",
    default="development.ini",
    show_default=True,
    help="The ini file of the hub.",
)
@click.version_option(package_name="hubrepo")
@click.pass_context
def main(ctx: click.Context, ini: str) -> None:
    """Run a hub, and look after its organisations and keys."""
    ctx.obj = Command(ini)


slug_option = click.option("--org", "slug", required=True, help="Slug of the organisation.")
quiet_option = click.option("--quiet", is_flag=True, help="Print the key alone.")


@main.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port, instead of the one in the ini file."
)
@click.pass_obj
def serve(command: Command, port: int | None) -> None:
    """Serve over HTTP, until interrupted.

    In an empty hub whose ini file has hubrepo.first_organisation, that organisation is created
    first, and its key shown.
    """
    registry = command.registry
    hubrepo.prepare_database(registry)
    overrides = {"http_port": str(port)} if port else {}
    loader = plaster.get_loader(command.ini, protocols=["wsgi"])
    loader.setup_logging(overrides)
    listen = loader.get_settings("server:main", overrides)["listen"]
    address = listen_at(listen, overrides).split()[0]
    _check_free(address)
    _bootstrap_first(command, f"http://{address}")
    registry.database.close()
    application = loader.get_wsgi_app(defaults=overrides)
    click.echo(f"Serving at http://{address}")
    loader.get_wsgi_server(defaults=overrides)(application)


def _check_free(address: str) -> None:
    """Fail before the only key is shown, not after."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]").replace("*", ""), int(port)))
        except OSError as error:
            raise click.ClickException(f"cannot listen at {address}: {error.strerror}") from None


def _bootstrap_first(command: Command, url: str) -> None:
    slug = command.registry.account_settings.first_organisation
    if not slug:
        return
    with command.accounts("organisation:create", f"organisation:{slug}") as accounts:
        if accounts.has_organisations():
            return
        organisation = accounts.create_organisation(slug.capitalize(), slug)
        key = accounts.issue_key(organisation, label="bootstrap key")
    click.echo(f"Created organisation: {organisation_line(slug.capitalize(), slug)}")
    click.echo("Try it with its key, which is shown only this once:\n")
    click.echo(f'    curl -H "Authorization: Api-Key {key.plain}" {url}/api/packages\n')


def organisation_line(name: str, slug: str) -> str:
    """An organisation, as the commands name it."""
    return f"{name} ({slug})"


def _show_key(key: NewKey) -> None:
    """Show a key for the only time, alone on its line."""
    click.echo("\nAPI key (shown once — store it now):")
    click.echo(f"    {key.plain}\n")
    click.echo(f"Use it as:  Authorization: Api-Key {key.plain}")


@main.command()
@click.pass_obj
def init(command: Command) -> None:
    """Create the database, or migrate it to this version."""
    hubrepo.prepare_database(command.registry, migrate=True)
    click.echo("The database is up to date.")


@main.command("bootstrap-org")
@click.option("--name", required=True, help="Display name.")
@click.option("--slug", required=True, help="Name in URLs: a-z, 0-9 and inner dashes.")
@click.option("--user", "username", help="Make this user a member, and the key theirs.")
@click.option(
    "--password",
    envvar="HUBREPO_PASSWORD",
    show_envvar=True,
    help="Password of a new user; `-` reads a line. Without it, a terminal asks.",
)
@click.option("--label", default="bootstrap key", show_default=True, help="What the key is for.")
@quiet_option
@click.pass_obj
def bootstrap_organisation(
    command: Command,
    name: str,
    slug: str,
    username: str | None,
    password: str | None,
    label: str,
    quiet: bool,
) -> None:
    """Create an organisation and its first key."""
    secret = _password(password) if username else None
    with command.accounts("organisation:create", f"organisation:{slug}", slug) as accounts:
        organisation = accounts.create_organisation(name, slug)
        if username:
            accounts.attach(organisation, username, secret)
        key = accounts.issue_key(organisation, label=label, username=username)
        created = organisation_line(organisation.name, slug)
    if quiet:
        click.echo(key.plain)
        return
    click.echo(f"Created organisation: {created}")
    if username:
        click.echo(f"Attached user: {username} (owner)")
    _show_key(key)


def _password(given: str | None) -> str | None:
    if given == "-":
        return sys.stdin.readline().rstrip("\r\n") or None
    if given is None and sys.stdin.isatty():
        prompt = "Password (empty: none)"
        return (
            click.prompt(
                prompt, default="", show_default=False, hide_input=True, confirmation_prompt=True
            )
            or None
        )
    return given


@main.command("issue-api-key")
@slug_option
@click.option("--user", "username", help="Make the key this member's.")
@click.option("--label", default="api key", show_default=True, help="What the key is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="Narrow the key; default: all.",
)
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="Not good from then on (UTC).",
)
@quiet_option
@click.pass_obj
def issue_key(
    command: Command,
    slug: str,
    username: str | None,
    label: str,
    scopes: Sequence[str],
    expires: datetime | None,
    quiet: bool,
) -> None:
    """Issue one more key."""
    expires_at = expires.replace(tzinfo=UTC) if expires else None
    with command.accounts("key:issue", f"organisation:{slug}", slug) as accounts:
        organisation = accounts.organisation(slug)
        key = accounts.issue_key(
            organisation, label=label, username=username, scopes=scopes, expires_at=expires_at
        )
    if quiet:
        click.echo(key.plain)
        return
    kind = f"per-user ({username})" if username else "service"
    click.echo(f"Issued {kind} key for organisation {slug}, label: {label!r}")
    _show_key(key)


@main.command("revoke-api-key")
@click.argument("prefix")
@click.pass_obj
def revoke_key(command: Command, prefix: str) -> None:
    """Make the key with PREFIX (with or without kpf_) useless, at once."""
    with command.accounts("key:revoke", f"key:{prefix}") as accounts:
        hint = accounts.revoke_key(prefix).hint
    click.echo(f"Revoked {hint}")


@main.command("list-api-keys")
@slug_option
@click.pass_obj
def list_keys(command: Command, slug: str) -> None:
    """List the keys of an organisation, oldest first."""
    with command.accounts("key:list", f"organisation:{slug}", slug) as accounts:
        rows = [
            (
                key.hint, _state(key.revoked_at, key.expires_at), key.user.username if key.user else "-",
                key.scopes or "all", _date(key.created_at), _date(key.last_used_at), key.label,
            )
            for key in accounts.keys(accounts.organisation(slug))
        ]  # fmt: skip
    _table(("PREFIX", "STATE", "USER", "SCOPES", "CREATED", "LAST USED", "LABEL"), rows)


def _state(revoked_at: datetime | None, expires_at: datetime | None) -> str:
    if revoked_at is not None:
        return "revoked"
    if expires_at is None:
        return "good"
    return "expired" if expires_at <= now() else f"until {_date(expires_at)}"


@main.command("list-orgs")
@click.pass_obj
def list_organisations(command: Command) -> None:
    """List the organisations, by slug."""
    with command.accounts("organisation:list", "organisations") as accounts:
        rows = [_organisation_row(each) for each in accounts.organisations()]
    heads = ("SLUG", "NAME", "CREATED", "BYTES", "MAX UPLOAD", "MAX BYTES", "MAX VERSIONS")
    _table((*heads, "MAX PAGES"), rows)


def _organisation_row(organisation: Organisation) -> tuple[str, ...]:
    limits = (
        organisation.max_upload_size,
        organisation.max_stored_bytes,
        organisation.max_versions,
        organisation.max_pages,
    )
    own = ("-" if limit is None else str(limit) for limit in limits)
    return (
        organisation.slug,
        organisation.name,
        _date(organisation.created_at),
        str(organisation.stored_bytes),
        *own,
    )


limit_type = click.IntRange(0)


@main.command("set-limits")
@slug_option
@click.option("--max-upload-size", type=click.IntRange(1), help="Bytes of one upload.")
@click.option("--max-stored-bytes", type=limit_type, help="Bytes kept in all; 0: no limit.")
@click.option("--max-versions", type=limit_type, help="Versions published in all; 0: no limit.")
@click.option("--max-pages", type=limit_type, help="Pages live at a time; 0: no limit.")
@click.pass_obj
def set_limits(command: Command, /, slug: str, **limits: int | None) -> None:
    """Give an organisation limits of its own; one that is left out is the hub's again."""
    with command.accounts("organisation:limit", f"organisation:{slug}", slug) as accounts:
        accounts.set_limits(accounts.organisation(slug), Limits(**limits))
    own = [
        f"{name.replace('_', ' ')} {limit}" for name, limit in limits.items() if limit is not None
    ]
    click.echo(f"Set the limits of {slug}: {', '.join(own) or 'none'}; all others are the hub's.")


@main.command("list-members")
@slug_option
@click.pass_obj
def list_members(command: Command, slug: str) -> None:
    """List the members of an organisation, by name."""
    with command.accounts("member:list", f"organisation:{slug}", slug) as accounts:
        rows = [
            (
                each.user.username,
                each.role,
                "active" if each.user.active else "inactive",
                _date(each.created_at),
            )
            for each in accounts.members(accounts.organisation(slug))
        ]
    _table(("USER", "ROLE", "STATE", "SINCE"), rows)


@main.command("add-member")
@slug_option
@click.option("--user", "username", required=True, help="The user, made if need be.")
@click.option(
    "--password",
    envvar="HUBREPO_PASSWORD",
    show_envvar=True,
    help="Of a new user; `-` reads a line.",
)
@click.pass_obj
def add_member(command: Command, slug: str, username: str, password: str | None) -> None:
    """Make a user a member of an organisation."""
    secret = _password(password)
    with command.accounts("member:add", f"user:{username}", slug) as accounts:
        accounts.attach(accounts.organisation(slug), username, secret, role="member")
    click.echo(f"Attached user: {username} (member)")


@main.command("remove-member")
@slug_option
@click.option("--user", "username", required=True, help="The member.")
@click.pass_obj
def remove_member(command: Command, slug: str, username: str) -> None:
    """End a membership; the user's keys stop at once."""
    with command.accounts("member:remove", f"user:{username}", slug) as accounts:
        accounts.remove_member(accounts.organisation(slug), username)
    click.echo(f"Removed {username} from {slug}")


@main.command("deactivate-user")
@click.argument("username")
@click.pass_obj
def deactivate_user(command: Command, username: str) -> None:
    """Stop a user's keys, at once and everywhere."""
    _set_active(command, username, active=False)


@main.command("activate-user")
@click.argument("username")
@click.pass_obj
def activate_user(command: Command, username: str) -> None:
    """Let a deactivated user act again."""
    _set_active(command, username, active=True)


def _set_active(command: Command, username: str, *, active: bool) -> None:
    with command.accounts("user:activate", f"user:{username}") as accounts:
        accounts.set_active(username, active=active)
    click.echo(f"{username} is {'active' if active else 'inactive'}")


@main.command("show-log")
@slug_option
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="How many events.",
)
@click.pass_obj
def show_log(command: Command, slug: str, limit: int) -> None:
    """Show who did what in an organisation, newest first, refusals included."""
    with command.accounts("log:read", f"organisation:{slug}", slug) as accounts:
        organisation_id = accounts.organisation(slug).id
    with command.registry.database.read() as db:
        events = events_of(db, organisation_id, limit=limit)
        rows = [
            (_date(each.at), each.outcome, each.action, each.subject, each.actor) for each in events
        ]
    _table(("AT", "OUTCOME", "ACTION", "SUBJECT", "ACTOR"), rows)


@main.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--grace",
    type=click.IntRange(0),
    default=24,
    show_default=True,
    help="Hours for which bytes without a row are left alone: an upload may be about to commit.",
)
@click.pass_obj
def gc(command: Command, dry_run: bool, grace: int) -> None:
    """Remove what nobody will ask for again: bytes without a row, and what was kept long enough.

    Safe while the hub is serving.
    """
    registry, hours = command.registry, timedelta(hours=grace)
    hubrepo.prepare_database(registry)
    orphans = adopt_orphans(registry.database, registry.store, now() - hours, dry_run=dry_run)
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{orphans.adopted} blobs without a row ({orphans.adopted_bytes} bytes) {verb}")
    if not dry_run:
        for what, count in tidy(registry, hours).items():
            click.echo(f"{count} {what} removed")
    if orphans.unknown:
        click.echo(f"{orphans.unknown} files are of no organisation, and were left alone")


def _date(instant: datetime | None) -> str:
    return iso_seconds(instant) if instant else "-"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def _alone(name: str) -> Callable[[], None]:
    """A command as a program of its own: the reference's name for it, with the same options."""

    def program() -> None:
        main([*_config_first(sys.argv[1:], name)], prog_name="hubrepo")

    return program


def _config_first(arguments: list[str], name: str) -> Iterator[str]:
    """`-c INI` belongs before the command, wherever it was written."""
    rest = list(arguments)
    for flag in ("-c", "--config"):
        if flag in rest[:-1]:
            at = rest.index(flag)
            yield from rest[at : at + 2]
            del rest[at : at + 2]
    yield from (name, *rest)


bootstrap_org = _alone("bootstrap-org")
issue_api_key = _alone("issue-api-key")


def shell_setup(env: dict[str, Any]) -> None:
    """What `pshell` has at hand: `db`, a reading session, and `registry`."""
    registry = env["registry"]
    env["db"] = registry.database.reading()
    env["Organisation"] = Organisation
