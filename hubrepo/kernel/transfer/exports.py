"""An export: one organisation as one file, which proves itself.

It is a ZIP with the organisation's rows, its history and its keys' digests among them, and its blobs
as they are. Imported into another hub it is the same organisation: the same GUIDs, hashes and keys.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import orjson
from sqlalchemy import ColumnElement, Select, Table, case, func, or_, select
from sqlalchemy.orm import Session

from hubrepo.kernel.accounts import ApiKey, Membership, Organisation, User
from hubrepo.kernel.base import NotFound, Tell, iso_micros, now, sync_folder, tell_nobody
from hubrepo.kernel.blobs import (
    BLOB_FACTS,
    Blob,
    BlobFacts,
    BlobMissing,
    Stores,
    hold,
    is_referred_to,
    sweep,
)
from hubrepo.kernel.db import Base, Database, heads_of
from hubrepo.kernel.transfer.errors import CopyDamaged, NotEmpty
from hubrepo.kernel.transfer.manifests import Manifest
from hubrepo.kernel.transfer.snapshots import LEFT_OUT, open_anywhere, write_blobs, write_rows

KIND = "hubrepo organisation"
MANIFEST, ROWS, BLOBS = "organisation.json", "rows", "blobs"
CHUNK = 1024**2

Query = Select[*tuple[Any, ...]]


@dataclass
class Moved:
    """What an export or an import did."""

    slug: str
    rows: int = 0
    blobs: int = 0
    size: int = 0


class OrganisationUnknown(NotFound):
    """There is none of that slug."""

    message = "no such organisation"


def queries(organisation_id: int) -> Iterator[tuple[Table, Query]]:
    """The tables that have something of an organisation, and what chooses its rows.

    Parents come before what refers to them.
    """
    for table in Base.metadata.sorted_tables:
        if table.name == Organisation.__tablename__:
            yield table, select(table).where(Organisation.id == organisation_id)
        elif table.name == User.__tablename__:
            yield table, _people(table, organisation_id)
        elif table.name == Blob.__tablename__:
            yield table, select(table).where(*_kept(organisation_id))
        elif table.name not in LEFT_OUT and "organisation_id" in table.columns:
            yield table, select(table).where(table.columns["organisation_id"] == organisation_id)


def _people(users: Table, organisation_id: int) -> Query:
    """The members. Whoever else had a key is there by name only: they may be another's member now."""
    members = select(Membership.user_id).where(Membership.organisation_id == organisation_id)
    holders = select(ApiKey.user_id).where(ApiKey.organisation_id == organisation_id)
    is_member = User.id.in_(members)
    columns: dict[str, ColumnElement[Any]] = dict(users.columns)
    columns["password_hash"] = case((is_member, users.columns["password_hash"])).label(
        "password_hash"
    )
    return select(*columns.values()).where(or_(is_member, User.id.in_(holders)))


def _kept(organisation_id: int) -> list[ColumnElement[bool]]:
    """Not the blobs that are on their way out."""
    wanted = or_(Blob.doomed_at.is_(None), is_referred_to())
    return [Blob.organisation_id == organisation_id, wanted]


def export_organisation(
    database: Database, stores: Stores, slug: str, path: Path, tell: Tell = tell_nobody
) -> Moved:
    """Write the file; the hub may be serving meanwhile. `tell` is called with 1 for each blob.

    A file that is not whole never bears its name. Raises OrganisationUnknown, NotEmpty, CopyDamaged,
    HoldLapsed, and what stores and databases raise.
    """
    if path.exists():
        raise NotEmpty(f"{path} exists already")
    with (
        _new_file(path) as fresh,
        tempfile.TemporaryFile() as listed,
        hold(database, "export") as held,
        ZipFile(fresh, "w") as archive,
    ):
        with database.snapshot() as db:
            manifest = _write_rows(db, archive, slug, heads_of(database), listed)
        listed.seek(0)
        for line in listed:
            _write_blob(archive, stores, BlobFacts(**orjson.loads(line)))
            held.renew()
            tell(1)
        archive.writestr(MANIFEST, manifest.dump())
    sweep(database, stores)
    rows = sum(each.rows for each in manifest.tables.values())
    return Moved(slug, rows, manifest.blobs, manifest.size)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that nobody else may read, which bears its name once the block has ended well."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as fresh:
        try:
            yield cast("BinaryIO", fresh)
            fresh.flush()
            os.fsync(fresh.fileno())
            Path(fresh.name).replace(path)
            sync_folder(path.parent)
        except BaseException:
            Path(fresh.name).unlink(missing_ok=True)
            raise


def _write_rows(
    db: Session, archive: ZipFile, slug: str, heads: Sequence[str], listed: BinaryIO
) -> Manifest:
    """Write the rows of an organisation, and to `listed` which blobs it has."""
    organisation = db.scalar(select(Organisation).where(Organisation.slug == slug))
    if organisation is None:
        raise OrganisationUnknown(f"there is no organisation {slug}")
    mine = organisation.id
    tables = write_rows(db, queries(mine), partial(_part, archive))
    write_blobs(db, BLOB_FACTS.where(*_kept(mine)), listed)
    size = int(db.scalar(select(func.coalesce(func.sum(Blob.size), 0)).where(*_kept(mine))) or 0)
    about = {"slug": slug, "name": organisation.name, "guid": str(organisation.guid)}
    blobs = tables[Blob.__tablename__].rows
    return Manifest(KIND, iso_micros(now()), heads, ROWS, tables, blobs, size, about=about)


@contextmanager
def _part(archive: ZipFile, name: str, directory: str = ROWS) -> Iterator[BinaryIO]:
    part = ZipInfo(f"{directory}/{name}", now().timetuple()[:6])
    part.compress_type = ZIP_DEFLATED if directory == ROWS else ZIP_STORED
    with archive.open(part, "w", force_zip64=True) as file:
        yield cast("BinaryIO", file)


def _write_blob(archive: ZipFile, stores: Stores, blob: BlobFacts) -> None:
    hashed = hashlib.sha256()
    try:
        with open_anywhere(stores, blob) as file, _part(archive, blob.digest, BLOBS) as part:
            while piece := file.read(CHUNK):
                hashed.update(piece)
                part.write(piece)
    except BlobMissing:
        raise CopyDamaged(f"the bytes of {blob.key} are missing: run `hubrepo check`") from None
    if hashed.hexdigest() != blob.digest:
        raise CopyDamaged(f"the bytes of {blob.key} are damaged: run `hubrepo check --deep`")
