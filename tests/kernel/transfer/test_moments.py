"""A backup is of one moment, and takes nothing from the one before that it cannot know to be surplus."""

import hashlib
from itertools import count
from operator import attrgetter

import pytest
from sqlalchemy import select, text

from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, DiskStore, OutOfOrder, key_of
from hubrepo.kernel.db import heads_of
from hubrepo.kernel.transfer import Backup
from hubrepo.kernel.transfer import backups as module
from tests.support.filled import fill, make_hub, put


def content_whose_digest_begins(beginning):
    """Some bytes whose SHA-256 begins so."""
    contents = (str(number).encode() for number in count())
    return next(c for c in contents if hashlib.sha256(c).hexdigest().startswith(beginning))


def files_of(folder):
    return sorted(path for path in (folder / "blobs").rglob("*") if path.is_file())


def back_up(hub, folder, tell=lambda _: None):
    return Backup(folder).make(hub.registry.database, hub.registry.stores, tell)


@pytest.fixture(params=["sqlite", "postgresql"])
def hub(request, tmp_path):
    return make_hub(request, tmp_path / "hub", "memory", request.param)


def test_a_database_that_sorts_as_the_danes_do_loses_no_blob(hub, tmp_path):
    hub.organisation()
    with hub.registry.database.write() as db:
        owner = db.scalars(select(Organisation)).one()
        for beginning in ("aa", "ab", "f", "0"):
            content = content_whose_digest_begins(beginning)
            digest = hashlib.sha256(content).hexdigest()
            put(hub, key_of(owner.guid.hex, digest), content)
            row = {"organisation_id": owner.id, "digest": digest, "size": len(content)}
            db.add(Blob(**row, created_at=now()))
    first = back_up(hub, tmp_path / "copy")
    before = files_of(tmp_path / "copy")
    second = back_up(hub, tmp_path / "copy")
    assert (first.copied_blobs, second.copied_blobs, second.removed_blobs) == (4, 0, 0)
    assert files_of(tmp_path / "copy") == before
    assert len(before) == 4


def test_blobs_that_are_not_in_order_end_a_backup_before_anything_is_removed(
    request, tmp_path, monkeypatch
):
    hub = make_hub(request, tmp_path / "hub", "memory", "sqlite")
    fill(hub, organisations=1)
    back_up(hub, tmp_path / "copy")
    before = files_of(tmp_path / "copy")
    query = module.BLOB_FACTS.order_by(None).order_by(Blob.digest.desc())
    with monkeypatch.context() as patch:
        patch.setattr(module, "BLOB_FACTS", query)
        with pytest.raises(OutOfOrder, match="the blobs of the hub are not in the order"):
            back_up(hub, tmp_path / "copy")
    assert files_of(tmp_path / "copy") == before


class Reversed(DiskStore):
    """Lists what it has from the end."""

    def list(self, prefix=""):
        yield from sorted(super().list(prefix), key=attrgetter("key"), reverse=True)


def test_surplus_is_known_only_where_both_are_in_order(request, tmp_path):
    hub = make_hub(request, tmp_path / "hub", "memory", "sqlite")
    fill(hub, organisations=1)
    back_up(hub, tmp_path / "copy")
    before = files_of(tmp_path / "copy")
    copy = Backup(tmp_path / "copy")
    with pytest.raises(OutOfOrder, match="the files of the backup are not in the order"):
        copy._remove_surplus(Reversed(str(tmp_path / "copy" / "blobs")), copy.manifest())
    assert files_of(tmp_path / "copy") == before


def test_the_schema_of_a_backup_is_that_of_its_rows(request, tmp_path):
    """A hub that is migrated while blobs are copied would else be restored into tables of another version."""
    hub = make_hub(request, tmp_path / "hub", "memory", "sqlite")
    fill(hub, organisations=1)
    before = heads_of(hub.registry.database)

    def migrate(_done):
        with hub.registry.database.write() as db:
            migrated = "UPDATE alembic_version SET version_num = 'new_' || substr(version_num, 5)"
            db.execute(text(migrated))

    back_up(hub, tmp_path / "copy", migrate)
    assert heads_of(hub.registry.database) != before
    assert tuple(Backup(tmp_path / "copy").manifest().heads) == tuple(before)
