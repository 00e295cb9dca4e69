"""What the stores and the database keep: checked, collected, copied, moved.

Whatever may take long shows its progress on a terminal, and each command says what it did in figures.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

import click
import orjson
from sqlalchemy import select

from hubrepo.cli.command import EXPECTED, Command, sentence_of
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import Misconfigured, Tell, now, one_line, tell_nobody
from hubrepo.kernel.blobs import (
    Check,
    Finding,
    Store,
    adopt_orphans,
    are_one,
    copy_store,
    is_held,
    open_store,
    sweep,
    tidy,
)
from hubrepo.kernel.transfer import (
    Backup,
    OrganisationExported,
    export_organisation,
    import_organisation,
)

# What `check` ends with, besides 0. Between them lies 2, which is click's for a command misspelled.
DAMAGED, COULD_NOT, LEFT_OVER = 1, 2, 3


@contextmanager
def progress(label: str, length: int | None = None) -> Iterator[Tell]:
    """A function to tell how much more is done; a terminal shows it."""
    if not sys.stderr.isatty():
        yield tell_nobody
        return
    # How much there will be is not always known.
    rest: Iterator[int] | None = iter(()) if length is None else None
    with click.progressbar(
        rest, length, label, show_pos=True, item_show_func=None, file=sys.stderr
    ) as bar:
        yield bar.update


def blobs_of(count: int, size: int) -> str:
    """So many blobs, and how much they are."""
    return f"{count} blob{'s' if count != 1 else ''} ({size} bytes)"


def show_damaged(keys: Sequence[str]) -> None:
    """Name what could not be copied, and end with 1."""
    for key in keys:
        click.echo(f"damaged or missing: {key}")
    if keys:
        raise click.ClickException(f"damaged or missing blobs: {len(keys)}")


@click.command()
@click.option("--deep", is_flag=True, help="Read every byte, and compare it with its hash.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.pass_obj
def check(command: Command, deep: bool, as_json: bool) -> None:
    """Find every blob that is missing, truncated, changed or unknown, and every row that dangles.

    Changes nothing; safe while the hub is serving. Ends with 0 if all is well, with 1 if something is
    damaged, with 3 if there are only bytes that no row knows, and with 2 if it could not look.
    """
    try:
        registry = command.prepared()
        run = Check(registry.database, registry.stores, registry.checks.values(), deep=deep)
        found: Counter[str] = Counter()
        damaged = False
        with progress("Checking", run.expected()) as tell:
            for finding in run.run(tell):
                found[finding.kind] += 1
                damaged |= finding.is_damage
                click.echo(_line(finding, as_json=as_json))
    except BrokenPipeError:
        raise
    except click.ClickException as error:
        _could_not_check(error.message)
    except EXPECTED as error:
        _could_not_check(sentence_of(error))
    click.echo(_summary(run, found, deep=deep, as_json=as_json))
    sys.exit(DAMAGED if damaged else LEFT_OVER if found else 0)


def _could_not_check(sentence: str) -> NoReturn:
    click.echo(f"Error: could not check: {sentence}", err=True)
    sys.exit(COULD_NOT)


def _line(finding: Finding, *, as_json: bool) -> str:
    if as_json:
        return orjson.dumps(finding._asdict()).decode()
    return f"{finding.kind}: {one_line(finding.subject)}: {finding.text}"


def _summary(run: Check, found: Counter[str], *, deep: bool, as_json: bool) -> str:
    if as_json:
        facts = {"blobs": run.blobs, "bytes": run.bytes, "deep": deep, "found": found}
        return orjson.dumps({"checked": facts}).decode()
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    read = "read and hashed" if deep else "looked up"
    return f"Checked {blobs_of(run.blobs, run.bytes)}, {read}: {kinds or 'all is well'}."


@click.command()
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
    registry, hours = command.prepared(), timedelta(hours=grace)
    database, stores = registry.database, registry.stores
    verb = "would be removed" if dry_run else "removed"
    for what, count in tidy(registry, hours, dry_run=dry_run).items():
        click.echo(f"{count} {what} {verb}")
    orphans = adopt_orphans(database, stores, now() - hours, dry_run=dry_run)
    click.echo(f"{blobs_of(orphans.adopted, orphans.adopted_bytes)} without a row {verb}")
    if not dry_run:
        sweep(database, stores)
        if left := sweep(database, stores, dry_run=True):
            click.echo(f"{left} of these could not be removed yet: the log tells why")
    if is_held(database):
        click.echo("A backup or an export holds all bytes: what was released goes later")
    if orphans.unknown:
        click.echo(f"{orphans.unknown} files are of no organisation, and were left alone")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--deep", is_flag=True, help="Read what is there already, and copy it if it is damaged."
)
@click.pass_obj
def backup(command: Command, folder: Path, deep: bool) -> None:
    """Copy the rows of one moment and all their blobs into FOLDER, while the hub is serving.

    Into the folder of an earlier backup only what is new is copied.
    """
    registry = command.prepared()
    copy = Backup(folder)
    with progress("Backing up", copy.expected(registry.database)) as tell:
        done = copy.make(registry.database, registry.stores, tell, deep=deep)
    click.echo(
        f"Backed up {done.rows} rows and {blobs_of(done.blobs, done.size)}: "
        f"{blobs_of(done.copied_blobs, done.copied_size)} copied, {done.removed_blobs} removed "
        "that no row tells of any more."
    )
    show_damaged(done.damaged)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def restore(command: Command, folder: Path) -> None:
    """Put the backup in FOLDER into an empty database and the stores, whichever the ini file names.

    Every row and byte is proved on the way, and the hub checked at the end.
    """
    registry, copy = command.registry, Backup(folder)
    with progress("Restoring", copy.manifest().blobs) as tell:
        done = copy.restore(registry.database, registry.stores, registry.migrations, tell)
    click.echo(f"Restored {done.rows} rows and {blobs_of(done.blobs, done.size)}.")
    show_damaged(done.damaged)
    found = list(Check(registry.database, registry.stores, registry.checks.values()).run())
    for finding in found:
        click.echo(_line(finding, as_json=False))
    if any(finding.is_damage for finding in found):
        raise click.ClickException("the restored hub is not well: see above")


@click.command("copy-store")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--deep", is_flag=True, help="Read what is there already, and copy it if it is damaged."
)
def copy_stores(source: str, target: str, deep: bool) -> None:
    """Copy all blobs from the store at one URL to another: then one line of the ini switches.

    What is there already is not copied again, so it can be stopped and begun again. Copy while the hub
    is serving, then stop it, copy once more, change the line, start.
    """
    origin, place = _store_at(source, "FROM"), _store_at(target, "TO")
    if are_one(origin, place):
        raise click.ClickException("FROM and TO are the same place")
    with progress("Copying") as tell:
        done = copy_store(origin, place, deep=deep, tell=tell)
    if not done.blobs + done.present + len(done.damaged):
        raise click.ClickException(f"there are no blobs at {source}: is that the place?")
    click.echo(
        f"Copied {blobs_of(done.blobs, done.size)}; {done.present} were there already; "
        f"{done.strange} files are no blobs, and were left."
    )
    show_damaged(done.damaged)
    click.echo(f"Every blob is at {target} now.")


def _store_at(url: str, line: str) -> Store:
    """The store at `url`, which outlives the command. One to read from is not made. Raises Misconfigured."""
    scheme, _, rest = url.partition("://")
    if scheme == "mem":
        raise Misconfigured(f"{line} is {url}, which is gone with the process")
    if scheme == "osfs" and line == "FROM" and not Path(unquote(rest)).is_dir():
        raise Misconfigured(f"FROM: there is no folder {unquote(rest)}")
    return open_store(url, line)


@click.command("export-org")
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def export_org(command: Command, slug: str, file: Path) -> None:
    """Write all that an organisation has into FILE: its things, history, members, keys' digests.

    The hub may be serving. Whoever has the file has all of it, so keep it as you keep the hub.
    """
    registry = command.prepared()
    with progress("Exporting") as tell:
        done = export_organisation(registry.database, registry.stores, slug, file, tell)
    with registry.database.write() as db:
        mine = db.scalars(select(Organisation.id).where(Organisation.slug == slug)).one()
        event = OrganisationExported(slug, done.rows, done.blobs, done.size)
        command.log(db).record(event, mine)
    click.echo(f"Exported {slug}: {done.rows} rows and {blobs_of(done.blobs, done.size)}.")


@click.command("import-org")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--prove", is_flag=True, help="Only read all of it, and prove that it is whole.")
@click.pass_obj
def import_org(command: Command, file: Path, prove: bool) -> None:
    """Put the organisation that was exported into FILE into this hub, with its slug, GUIDs and keys."""
    registry = command.prepared()
    with progress("Reading" if prove else "Importing") as tell:
        done = import_organisation(
            registry.database, registry.stores, registry.migrations, file, command.log,
            prove=prove, tell=tell,
        )  # fmt: skip
    verb = "Proved the export of" if prove else "Imported"
    click.echo(f"{verb} {done.slug}: {done.rows} rows and {blobs_of(done.blobs, done.size)}.")


COMMANDS = (check, gc, backup, restore, copy_stores, export_org, import_org)
