"""A backup is one moment of a hub, proves itself, and comes back anywhere."""

import gzip
import hashlib
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

import hubrepo
from hubrepo.kernel.accounts import ApiKey, Organisation, User
from hubrepo.kernel.base import new_guid, now
from hubrepo.kernel.blobs import Blob, DiskStore, OutOfOrder, key_of
from hubrepo.kernel.blobs.holds import HoldLapsed
from hubrepo.kernel.blobs.models import Hold
from hubrepo.kernel.db import heads_of
from hubrepo.kernel.transfer import Backup, CopyDamaged, InUse, NotACopy, NotEmpty
from hubrepo.kernel.transfer import backups as module
from hubrepo.kernel.transfer.manifests import Rows
from tests.support.archives import package_zip
from tests.support.filled import (
    READABLE,
    assert_readable,
    busy_collector,
    busy_writers,
    client_of,
    content,
    fill,
    findings,
    keys_of,
    make_hub,
    put,
    rows_of,
    working,
)

pytestmark = pytest.mark.long


class Stop(Exception):
    """What interrupts a backup in these tests."""


@contextmanager
def stopped(monkeypatch, step, *, after=0):
    """Let a step of `backups` stop what happens in the block, when it was done so often."""
    real, calls = getattr(module, step), iter(range(after))

    def stop(*arguments, **options):
        if next(calls, None) is None:
            raise Stop
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, step, stop)
        with pytest.raises(Stop):
            yield


@pytest.fixture
def hub(request, tmp_path):
    """A hub on the store and the database of this run."""
    return make_hub(request, tmp_path / "hub")


@pytest.fixture
def acme(request, tmp_path):
    """All there can be, in a hub in which it does not matter where bytes and rows are."""
    return fill(make_hub(request, tmp_path / "hub", "memory", "sqlite"), organisations=1)[0]


@pytest.fixture
def small(acme):
    return acme.hub


@pytest.fixture
def copy(tmp_path):
    return Backup(tmp_path / "copy")


@pytest.fixture
def other(request, tmp_path):
    """Make further hubs, with nothing in them."""

    def make(name="other", **settings):
        return make_hub(request, tmp_path / name, "disk", "sqlite", **settings)

    return make


@pytest.fixture
def bare(tmp_path):
    """The parts of a hub whose database has no tables yet, in the folder `bare`."""
    folder = tmp_path / "bare"
    folder.mkdir()
    places = {"database": f"sqlite:///{folder}/hub.sqlite", "blobs": f"osfs://{folder}/blobs"}
    registry = hubrepo.configure({f"hubrepo.{key}": at for key, at in places.items()}).registry
    yield registry
    registry.database.close()


def make(hub, copy, **options):
    hub.registry.afterwards.settle()
    return copy.make(hub.registry.database, hub.registry.stores, **options)


def restore(hub, copy):
    """Restore a backup; also into the bare parts of a hub."""
    registry = getattr(hub, "registry", hub)
    return copy.restore(registry.database, registry.stores, registry.migrations)


def full_keys(hub):
    """The keys of blobs that can be damaged."""
    return [stored.key for stored in hub.registry.stores.main.list() if stored.size > 1]


def flipped(data):
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.backend
def test_everything_comes_back(request, hub, tmp_path, copy):
    clients = fill(hub)
    archive, key = package_zip("retried"), {"Idempotency-Key": "retried"}
    first = clients[0].publish("retried", archive, headers=key)
    done = make(hub, copy)
    assert (done.blobs, done.copied_blobs, done.damaged) == (len(keys_of(hub)),) * 2 + ([],)
    restored = make_hub(request, tmp_path / "other")
    back = restore(restored, copy)
    assert (back.rows, back.blobs, back.size) == (done.rows, done.blobs, done.size)
    assert rows_of(restored) == rows_of(hub)
    assert findings(restored) == []
    there = [client_of(restored, each) for each in clients]
    assert sum(assert_readable(restored, each) for each in there) == 2 * READABLE + 1
    # A retry after a lost answer gets the first answer also from the restored hub.
    assert there[0].publish("retried", archive, headers=key) == first
    assert there[0].publish("package-0")["version"] == 4
    before = rows_of(restored)
    with pytest.raises(NotEmpty, match="is not empty"):
        restore(restored, copy)
    assert rows_of(restored) == before


@pytest.mark.backend
def test_values_numbers_and_the_audit_come_back_as_they_were(request, hub, tmp_path, copy):
    strange = "\U0001f4e6 \u202e 'quoted' \"twice\" \\ \n\r\t \u2028 ٣"
    moment = datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    hub.organisation()
    with hub.registry.database.write() as db:
        organisation = db.scalars(select(Organisation)).one()
        organisation.max_stored_bytes, organisation.max_versions = 2**63 - 1, 0
        organisation.name, organisation.created_at = strange, moment
        latest = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
        db.execute(update(ApiKey).values(expires_at=latest))
        gone = add_user(db)
        number = gone.id
        db.delete(gone)
    before = rows_of(hub)
    make(hub, copy)
    restored = make_hub(request, tmp_path / "other")
    restore(restored, copy)
    assert rows_of(restored) == before
    with restored.registry.database.write() as db:
        found = db.scalars(select(Organisation)).one()
        assert (found.name, found.created_at) == (strange, moment)
        assert found.max_stored_bytes == 2**63 - 1
        assert add_user(db).id == number + 1, "no number is given out twice"
    for statement in ("DELETE FROM audit_event", "UPDATE audit_event SET actor = 'nobody'"):
        with pytest.raises(DBAPIError), restored.registry.database.write() as db:
            db.execute(text(statement))


def add_user(db):
    user = User(guid=new_guid(), username="of whom there is one", created_at=now())
    db.add(user)
    db.flush()
    return user


@pytest.mark.backend
def test_a_backup_of_a_hub_at_work_is_one_moment_of_it(hub, tmp_path, other):
    clients = fill(hub)
    copies = [Backup(tmp_path / f"copy-{number}") for number in range(2)]
    acts = busy_writers(clients[0], clients[1], clients[0])
    with working(*acts, busy_collector(hub)):
        for each in (*copies, copies[0]):
            assert each.make(hub.registry.database, hub.registry.stores).damaged == []
    for each in copies:
        restored = other(each.folder.name + "-restored")
        assert restore(restored, each).damaged == []
        assert findings(restored) == []
        assert all(assert_readable(restored, client_of(restored, client)) for client in clients)
    assert findings(hub) == []
    with hub.registry.database.read() as db:
        assert db.scalars(select(Hold)).all() == []


class TestMakingItAgain:
    """Into the same folder only what is new is copied; what is wrong there is mended."""

    def test_what_is_new_is_copied_and_what_no_row_tells_of_any_more_removed(
        self, small, acme, copy
    ):
        first, second = make(small, copy), make(small, copy)
        assert (first.copied_blobs, second.copied_blobs) == (first.blobs, 0)
        assert (second.blobs, second.removed_blobs) == (first.blobs, 0)
        why = {"reason": "leaked"}
        acme.send_json("DELETE", "/api/packages/package-0/versions/3", why, status=200)
        acme.publish("package-0", package_zip("package-0", text="new"))
        third = make(small, copy)
        assert (third.copied_blobs, third.removed_blobs) == (1, 1)
        assert len(list(copy.folder.glob("rows-*"))) == 1

    def test_what_is_damaged_there_is_copied_again(self, small, copy):
        """If its size is right it must be read to be found."""
        make(small, copy)
        cut, rotten = (copy.folder / "blobs" / key for key in full_keys(small)[:2])
        whole = cut.read_bytes(), rotten.read_bytes()
        cut.write_bytes(b"cut")
        rotten.write_bytes(flipped(whole[1]))
        assert make(small, copy).copied_blobs == 1
        assert make(small, copy, deep=True).copied_blobs == 1
        assert (cut.read_bytes(), rotten.read_bytes()) == whole

    def test_a_good_copy_outlives_its_damaged_original(self, small, copy, other):
        make(small, copy)
        good = {key: content(small, key) for key in full_keys(small)[:3]}
        first, second, third = good
        put(small, first, flipped(good[first]))
        put(small, second, good[second][:-1])
        small.registry.stores.main.delete(third)
        done = make(small, copy)
        assert (done.damaged, done.copied_blobs) == ([], 0)
        restored = other()
        restore(restored, copy)
        assert findings(restored) == []
        assert {key: content(restored, key) for key in good} == good

    def test_what_is_damaged_and_was_never_copied_is_named_and_the_rest_copied(
        self, small, copy, other
    ):
        lost = full_keys(small)[:2]
        rest = len(keys_of(small)) - 2
        put(small, lost[0], b"other")
        small.registry.stores.main.delete(lost[1])
        done = make(small, copy)
        assert (done.damaged, done.blobs) == (lost, rest)
        assert list(copy.manifest().damaged) == lost
        restored = other()
        assert restore(restored, copy).damaged == lost
        assert {finding.subject for finding in findings(restored)} == set(lost)


class TestInterrupted:
    """Whatever stops a backup, the one before is still whole, and the next one mends the folder."""

    def test_until_the_manifest_is_written_nothing_of_the_one_before_is_touched(
        self, small, acme, copy, other, monkeypatch
    ):
        make(small, copy)
        acme.publish("package-0", package_zip("package-0", text="new"))
        old = {path: path.read_bytes() for path in copy.folder.rglob("*") if path.is_file()}
        steps = "write_rows write_blobs heads_of sync_folder copy_if_whole write_durably"
        for step in steps.split():
            with stopped(monkeypatch, step):
                make(small, copy)
            assert {path: path.read_bytes() for path in old} == old, step
            with small.registry.database.read() as db:
                assert db.scalars(select(Hold)).all() == []
        # From then on it is the new one.
        with stopped(monkeypatch, "ascending", after=2):
            make(small, copy)
        assert len(list(copy.folder.glob("rows-*"))) == 1
        restored = other()
        assert restore(restored, copy).damaged == []
        assert findings(restored) == []
        assert rows_of(restored) == rows_of(small)

    def test_one_that_did_not_end_is_no_backup_and_two_at_once_are_refused(
        self, small, copy, monkeypatch
    ):
        with stopped(monkeypatch, "copy_if_whole"):
            make(small, copy)
        with pytest.raises(NotACopy, match="is no backup"):
            copy.manifest()
        (copy.folder / "backup.json.new").write_bytes(b'{"half')
        with Backup(copy.folder)._alone(), pytest.raises(InUse, match="another process is using"):
            make(small, copy)
        assert make(small, copy).damaged == []
        assert not (copy.folder / "backup.json.new").exists()

    def test_standing_still_for_too_long_ends_it(self, small, copy, monkeypatch):
        real = module.copy_if_whole

        def slow(*arguments):
            with small.registry.database.write() as db:
                db.execute(update(Hold).values(until=now() - timedelta(seconds=1)))
            monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))
            return real(*arguments)

        monkeypatch.setattr(module, "copy_if_whole", slow)
        with pytest.raises(HoldLapsed):
            make(small, copy)
        with pytest.raises(NotACopy):
            copy.manifest()


class TestDamaged:
    """A backup that is not what was written says so, and nothing of it is taken."""

    @pytest.fixture
    def copy(self, small, copy):
        make(small, copy)
        return copy

    def test_every_part_of_the_rows(self, copy, bare):
        parts = sorted(copy.folder.glob("rows-*/*.gz"))
        assert len(parts) > 8
        for part in parts:
            whole = part.read_bytes()
            lines = gzip.decompress(whole)
            for damaged in (
                whole[: len(whole) // 2],
                whole[:-8] + flipped(whole[-8:]),
                flipped(whole),
                gzip.compress(lines + b"{}\n"),
                gzip.compress(b"[]" * 10),
                b"" if lines else b"\0",  # No rows may be no bytes.
            ):
                part.write_bytes(damaged)
                with pytest.raises(CopyDamaged, match=part.name.removesuffix(".gz")):
                    restore(bare, copy)
            part.unlink()
            with pytest.raises(CopyDamaged):
                restore(bare, copy)
            part.write_bytes(whole)
        assert restore(bare, copy).damaged == []

    def test_bytes_all_over_the_manifest(self, copy):
        path = copy.folder / "backup.json"
        whole = path.read_bytes()
        for at in range(0, len(whole), 17):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
            try:
                found = copy.manifest()
            except NotACopy:
                continue
            # White space, or the last bit of a hexadecimal number in another case: it says the same.
            assert found.dump() == whole, at
        path.write_text(json.dumps({**json.loads(whole), "format": 2}))
        with pytest.raises(NotACopy, match="format 2"):
            copy.manifest()

    def test_its_blobs_are_named_one_by_one(self, small, copy, other):
        keys = full_keys(small)[:3]
        first, second, third = (copy.folder / "blobs" / key for key in keys)
        first.unlink()
        second.write_bytes(b"other")
        third.write_bytes(flipped(third.read_bytes()))
        restored = other()
        assert restore(restored, copy).damaged == keys
        assert {finding.subject for finding in findings(restored)} == set(keys)


def test_a_restore_that_failed_at_the_store_can_be_done_again(
    small, copy, bare, other, monkeypatch
):
    make(small, copy)
    with stopped(monkeypatch, "copy_if_whole", after=2):
        restore(bare, copy)
    with bare.database.read() as db:
        assert db.scalar(select(Organisation.id)) is None
    restore(bare, copy)
    restored = other("bare")
    assert rows_of(restored) == rows_of(small)
    assert findings(restored) == []


class TestOtherVersions:
    """Rows of an older hub are put into the tables of their time, and migrated."""

    def test_a_backup_of_an_older_schema_is_restored(self, small, copy, bare, other):
        """As a hub wrote it that knew neither products nor pages nor limits of them nor named stores."""
        make(small, copy)
        self.make_older(copy)
        assert restore(bare, copy).damaged == []
        restored = other("bare")
        found, expected = rows_of(restored), rows_of(small)
        assert found.pop("pages_page") == []
        same = {name for name in found if found[name] == expected[name]}
        unknown = {name for name in found if name.startswith(("pages_", "artifacts_"))}
        assert set(found) - same == unknown
        assert [name for name in unknown if found[name]] == []
        # Blobs of pages and products are nobody's: the older hub had none.
        assert {finding.kind for finding in findings(restored)} == {"dangling"}

    def make_older(self, copy):
        manifest, unknown = copy.manifest(), ("pages_", "artifacts_")
        tables = {
            name: manifest.tables[name] for name in manifest.tables if not name.startswith(unknown)
        }
        for name, dropped in (
            ("accounts_organisation", {"max_pages"}),
            ("accounts_api_key", {"only", "successor"}),
            ("blobs_blob", {"store", "leaving_at"}),
        ):
            rows = list(copy._read(manifest.rows, name, tables[name]))
            lines = [json.dumps({key: row[key] for key in row.keys() - dropped}) for row in rows]
            with copy._part(manifest.rows, "wb", name) as file:
                written = Rows().write([f"{line}\n".encode() for line in lines], file)
            tables[name] = written.facts(tables[name].last_id)
        changed = replace(manifest, heads=["packages_0001"], tables=tables)
        (copy.folder / "backup.json").write_bytes(changed.dump())

    def test_the_schema_of_a_backup_is_that_of_its_rows(self, small, copy):
        """Even if the hub is migrated while blobs are copied."""
        before = heads_of(small.registry.database)

        def migrate(_done):
            with small.registry.database.write() as db:
                newer = "UPDATE alembic_version SET version_num = 'new_' || substr(version_num, 5)"
                db.execute(text(newer))

        make(small, copy, tell=migrate)
        assert heads_of(small.registry.database) != before
        assert tuple(copy.manifest().heads) == tuple(before)

    def test_one_of_a_newer_hub_is_refused(self, small, copy, bare):
        make(small, copy)
        newer = replace(copy.manifest(), heads=["kernel_9999"])
        (copy.folder / "backup.json").write_bytes(newer.dump())
        with pytest.raises(NotACopy, match="newer hub"):
            restore(bare, copy)


class TestStoresOfTheirOwn:
    """Pages in a store of their own are backed up from there, and restored to wherever there is."""

    @pytest.fixture
    def two(self, other, tmp_path):
        return other("two", pages=f"osfs://{tmp_path}/two/pages")

    def test_both_are_in_the_backup_and_one_that_is_missing_can_come_later(
        self, two, tmp_path, copy, other
    ):
        acme, pages = fill(two, organisations=1)[0], f"osfs://{tmp_path}/other/pages"
        assert make(two, copy).blobs == len(keys_of(two)) + len(keys_of(two, "pages"))
        restored = other("like-it", pages=f"osfs://{tmp_path}/like-it/pages")
        restore(restored, copy)
        for store in ("blobs", "pages"):
            assert keys_of(restored, store) == keys_of(two, store)
        assert findings(restored) == []
        assert rows_of(restored) == rows_of(two)
        with_one = other()
        restore(with_one, copy)
        for later in (with_one, other(pages=pages)):
            assert findings(later) == []
            assert assert_readable(later, client_of(later, acme)) == READABLE

    def test_a_restore_that_is_stopped_leaves_no_row_in_a_store_that_is_not_there(
        self, two, copy, bare, monkeypatch
    ):
        two.organisation().publish_page("site")
        make(two, copy)
        with stopped(monkeypatch, "upgrade"):
            restore(bare, copy)
        with bare.database.read() as db:
            assert db.scalars(select(Blob.store)).all() == ["blobs"]


class TestOrder:
    """A backup takes nothing from the one before that it cannot know to be surplus."""

    @pytest.mark.backend
    def test_a_database_that_sorts_as_the_danes_do_loses_no_blob(self, hub, copy):
        hub.organisation()
        contents = [content_whose_digest_begins(with_it) for with_it in ("aa", "ab", "f", "0")]
        with hub.registry.database.write() as db:
            owner = db.scalars(select(Organisation)).one()
            for digest, data in contents:
                put(hub, key_of(owner.guid.hex, digest), data)
                row = {"organisation_id": owner.id, "digest": digest, "size": len(data)}
                db.add(Blob(**row, created_at=now()))
        first, second = make(hub, copy), make(hub, copy)
        assert (first.copied_blobs, second.copied_blobs, second.removed_blobs) == (4, 0, 0)
        assert len(files_of(copy)) == 4

    def test_what_is_not_in_order_ends_it_before_anything_is_removed(
        self, small, copy, monkeypatch
    ):
        make(small, copy)
        before = files_of(copy)
        query = module.BLOB_FACTS.order_by(None).order_by(Blob.digest.desc())
        with monkeypatch.context() as patch:
            patch.setattr(module, "BLOB_FACTS", query)
            with pytest.raises(OutOfOrder, match="the blobs of the hub are not in the order"):
                make(small, copy)
        backwards = list(DiskStore(str(copy.folder / "blobs")).list())[::-1]
        monkeypatch.setattr(DiskStore, "list", lambda _: iter(backwards))
        with pytest.raises(OutOfOrder, match="the files of the backup are not in the order"):
            make(small, copy)
        assert files_of(copy) == before


def content_whose_digest_begins(beginning):
    """Find some bytes whose SHA-256 begins so; both."""
    contents = (str(number).encode() for number in count())
    digested = ((hashlib.sha256(each).hexdigest(), each) for each in contents)
    return next(each for each in digested if each[0].startswith(beginning))


def files_of(copy):
    return sorted(path for path in (copy.folder / "blobs").rglob("*") if path.is_file())
