"""Organisations, their keys and members, and the log of who did what."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TextIO

import click

from hubrepo.cli.command import Command, slug_option
from hubrepo.kernel.accounts import SCOPES, Limits, NewKey, Organisation, keys_in
from hubrepo.kernel.audit import events_of
from hubrepo.kernel.base import date, now, redact, table
from hubrepo.kernel.security import check_kinds

quiet_option = click.option("--quiet", is_flag=True, help="Print the key alone.")


def organisation_line(name: str, slug: str) -> str:
    """An organisation, as the commands name it."""
    return f"{name} ({slug})"


def _show_key(key: NewKey) -> None:
    """Show a key for the only time, alone on its line."""
    click.echo("\nAPI key (shown once — store it now):")
    click.echo(f"    {key.plain}\n")
    click.echo(f"Use it as:  Authorization: Api-Key {key.plain}")


@click.command("bootstrap-org")
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


@click.command("issue-api-key")
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
    "--only",
    multiple=True,
    metavar="KIND:PATTERN",
    help="Limit the key to names, such as packages:team-*; it is good for nothing else then.",
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
    only: Sequence[str],
    expires: datetime | None,
    quiet: bool,
) -> None:
    """Issue one more key."""
    expires_at = expires.replace(tzinfo=UTC) if expires else None
    check_kinds(command.registry, only)
    with command.accounts("key:issue", f"organisation:{slug}", slug) as accounts:
        organisation = accounts.organisation(slug)
        key = accounts.issue_key(
            organisation,
            label=label,
            username=username,
            scopes=scopes,
            only=only,
            expires_at=expires_at,
        )
    if quiet:
        click.echo(key.plain)
        return
    kind = f"per-user ({username})" if username else "service"
    click.echo(f"Issued {kind} key for organisation {slug}, label: {label!r}")
    _show_key(key)


@click.command("rotate-api-key")
@click.argument("prefix")
@click.option(
    "--overlap",
    "hours",
    type=click.IntRange(0, 24 * 366),
    default=24,
    show_default=True,
    help="Hours for which the old key stays good.",
)
@quiet_option
@click.pass_obj
def rotate_key(command: Command, prefix: str, hours: int, quiet: bool) -> None:
    """Issue a key in the place of the one with PREFIX, which ends after a while."""
    with command.accounts("key:rotate", f"key:{prefix}") as accounts:
        old = accounts.key(prefix)
        new, ending = accounts.rotate_key(old, timedelta(hours=hours))
        rotated = f"Rotated {old.hint}, which is good until {date(ending)}"
    if quiet:
        click.echo(new.plain)
        return
    click.echo(rotated)
    _show_key(new)


@click.command("find-keys")
@click.argument("files", nargs=-1, type=click.File("r", encoding="utf-8", errors="replace"))
def find_keys(files: Sequence[TextIO]) -> None:
    """Look for API keys in FILES (- is standard input), and end with 1 if there are any.

    Asks no hub: a key has a checksum, and one of the old form, without, is known by its length. Keys are
    shown by their prefixes, to revoke them.
    """
    found = False
    for file in files:
        for number, line in enumerate(file, 1):
            for key in keys_in(line):
                found = True
                click.echo(f"{file.name}:{number}: {redact(key)}")
    sys.exit(found)


@click.command("revoke-api-key")
@click.argument("prefix")
@click.pass_obj
def revoke_key(command: Command, prefix: str) -> None:
    """Make the key with PREFIX (with or without kpf_) useless, at once."""
    with command.accounts("key:revoke", f"key:{prefix}") as accounts:
        hint = accounts.revoke_key(prefix).hint
    click.echo(f"Revoked {hint}")


@click.command("list-api-keys")
@slug_option
@click.pass_obj
def list_keys(command: Command, slug: str) -> None:
    """List the keys of an organisation, oldest first."""
    with command.accounts("key:list", f"organisation:{slug}", slug) as accounts:
        rows = [
            (
                key.hint, _state(key.revoked_at, key.expires_at), key.user.username if key.user else "-",
                " ".join((key.scopes or "all", key.only or "")).strip(), date(key.created_at),
                date(key.last_used_at), key.label,
            )
            for key in accounts.keys(accounts.organisation(slug))
        ]  # fmt: skip
    click.echo(table(("PREFIX", "STATE", "USER", "SCOPES", "CREATED", "LAST USED", "LABEL"), rows))


def _state(revoked_at: datetime | None, expires_at: datetime | None) -> str:
    if revoked_at is not None:
        return "revoked"
    if expires_at is None:
        return "good"
    return "expired" if expires_at <= now() else f"until {date(expires_at)}"


@click.command("list-orgs")
@click.pass_obj
def list_organisations(command: Command) -> None:
    """List the organisations, by slug."""
    with command.accounts("organisation:list", "organisations") as accounts:
        rows = [_organisation_row(each) for each in accounts.organisations()]
    heads = ("SLUG", "NAME", "CREATED", "BYTES", "MAX UPLOAD", "MAX BYTES", "MAX VERSIONS")
    click.echo(table((*heads, "MAX PAGES"), rows))


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
        date(organisation.created_at),
        str(organisation.stored_bytes),
        *own,
    )


limit_type = click.IntRange(0)


@click.command("set-limits")
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


@click.command("list-members")
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
                date(each.created_at),
            )
            for each in accounts.members(accounts.organisation(slug))
        ]
    click.echo(table(("USER", "ROLE", "STATE", "SINCE"), rows))


@click.command("add-member")
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


@click.command("remove-member")
@slug_option
@click.option("--user", "username", required=True, help="The member.")
@click.pass_obj
def remove_member(command: Command, slug: str, username: str) -> None:
    """End a membership; the user's keys stop at once."""
    with command.accounts("member:remove", f"user:{username}", slug) as accounts:
        accounts.remove_member(accounts.organisation(slug), username)
    click.echo(f"Removed {username} from {slug}")


@click.command("deactivate-user")
@click.argument("username")
@click.pass_obj
def deactivate_user(command: Command, username: str) -> None:
    """Stop a user's keys, at once and everywhere."""
    _set_active(command, username, active=False)


@click.command("activate-user")
@click.argument("username")
@click.pass_obj
def activate_user(command: Command, username: str) -> None:
    """Let a deactivated user act again."""
    _set_active(command, username, active=True)


def _set_active(command: Command, username: str, *, active: bool) -> None:
    with command.accounts("user:activate", f"user:{username}") as accounts:
        accounts.set_active(username, active=active)
    click.echo(f"{username} is {'active' if active else 'inactive'}")


@click.command("show-log")
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
            (date(each.at), each.outcome, each.action, each.subject, each.actor) for each in events
        ]
    click.echo(table(("AT", "OUTCOME", "ACTION", "SUBJECT", "ACTOR"), rows))


COMMANDS = (
    bootstrap_organisation,
    list_organisations,
    set_limits,
    issue_key,
    rotate_key,
    revoke_key,
    find_keys,
    list_keys,
    add_member,
    list_members,
    remove_member,
    activate_user,
    deactivate_user,
    show_log,
)
