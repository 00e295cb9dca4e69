"""A backup is one moment of a hub, proves itself, and comes back anywhere."""

import gzip
import json
import shutil
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

import hubrepo
from hubrepo.kernel.accounts import ApiKey, Organisation, User
from hubrepo.kernel.base import new_guid, now
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.blobs.holds import HoldLapsed
from hubrepo.kernel.blobs.models import Hold
from hubrepo.kernel.transfer import Backup, CopyDamaged, InUse, NotACopy, NotEmpty
from hubrepo.kernel.transfer import backups as module
from hubrepo.kernel.transfer.manifests import Manifest, Rows
from tests.support.archives import package_zip
from tests.support.filled import (
    EVERY_PLACE,
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
from tests.support.hub import Client, Hub

pytestmark = pytest.mark.long


@pytest.fixture(params=EVERY_PLACE)
def hub(request, tmp_path):
    return make_hub(request, tmp_path / "hub", *request.param)


@pytest.fixture
def small(request, tmp_path):
    """A hub in which it does not matter where bytes and rows are."""
    hub = make_hub(request, tmp_path / "hub", "memory", "sqlite")
    fill(hub, organisations=1)
    return hub


@pytest.fixture
def other(request, tmp_path):
    """Makes further hubs, with nothing in them."""

    def make(name="other", **settings):
        (tmp_path / name).mkdir()
        hub = Hub.below(tmp_path / name, **settings)
        request.addfinalizer(hub.registry.database.close)
        return hub

    return make


@pytest.fixture
def unprepared(tmp_path):
    """The parts of a hub whose database has no tables yet, in the folder `bare`."""
    (tmp_path / "bare").mkdir()
    registry = hubrepo.configure(
        {
            "hubrepo.database": f"sqlite:///{tmp_path}/bare/hub.sqlite",
            "hubrepo.blobs": f"osfs://{tmp_path}/bare/blobs",
        }
    ).registry
    yield registry
    registry.database.close()


def restore(hub, folder):
    """Restore the backup in `folder`; also into the bare parts of a hub."""
    registry = getattr(hub, "registry", hub)
    return Backup(folder).restore(registry.database, registry.stores, registry.migrations)


def make(hub, folder):
    hub.registry.afterwards.settle()
    return Backup(folder).make(hub.registry.database, hub.registry.stores)


def without(rows, *tables):
    return {name: lines for name, lines in rows.items() if name not in tables}


@pytest.mark.parametrize("target", EVERY_PLACE)
def test_everything_comes_back(request, hub, tmp_path, target):
    clients = fill(hub)
    archive, key = package_zip("retried"), {"Idempotency-Key": "retried"}
    first = clients[0].publish("retried", archive, headers=key)
    done = make(hub, tmp_path / "copy")
    assert (done.blobs, done.copied_blobs, done.damaged) == (len(keys_of(hub)),) * 2 + ([],)
    restored = make_hub(request, tmp_path / "other", *target)
    back = restore(restored, tmp_path / "copy")
    assert (back.rows, back.blobs, back.size) == (done.rows, done.blobs, done.size)
    assert rows_of(restored) == rows_of(hub)
    assert findings(restored) == []
    assert (
        sum(assert_readable(restored, client_of(restored, each)) for each in clients)
        == 2 * READABLE + 1
    )
    # A retry after a lost answer gets the first answer also from the restored hub.
    acme = client_of(restored, clients[0])
    assert acme.publish("retried", archive, headers=key) == first
    assert acme.publish("package-0")["version"] == 4


def test_numbers_are_not_given_out_twice_after_a_restore(small, tmp_path, other):
    with small.registry.database.write() as db:
        user = User(guid=new_guid(), username="gone", created_at=now())
        db.add(user)
        db.flush()
        last = user.id
        db.delete(user)
    make(small, tmp_path / "copy")
    restored = other()
    restore(restored, tmp_path / "copy")
    with restored.registry.database.write() as db:
        user = User(guid=new_guid(), username="new", created_at=now())
        db.add(user)
        db.flush()
        assert user.id == last + 1


def test_the_audit_of_a_restored_hub_cannot_be_changed(small, tmp_path, other):
    make(small, tmp_path / "copy")
    restored = other()
    restore(restored, tmp_path / "copy")
    for statement in ("DELETE FROM audit_event", "UPDATE audit_event SET actor = 'nobody'"):
        with pytest.raises(DBAPIError), restored.registry.database.write() as db:
            db.execute(text(statement))


def test_a_backup_of_a_hub_at_work_is_one_moment_of_it(request, hub, tmp_path, other):
    clients = fill(hub)

    copies = [tmp_path / f"copy-{number}" for number in range(3)]
    acts = busy_writers(clients[0], clients[1], clients[0])
    with working(*acts, busy_collector(hub)):
        for copy in copies:
            assert Backup(copy).make(hub.registry.database, hub.registry.stores).damaged == []
        assert Backup(copies[0]).make(hub.registry.database, hub.registry.stores).damaged == []
    for number, copy in enumerate(copies):
        restored = other(f"other-{number}")
        done = restore(restored, copy)
        assert done.damaged == []
        assert findings(restored) == []
        assert all(assert_readable(restored, client_of(restored, each)) for each in clients)
    assert findings(hub) == []
    with hub.registry.database.read() as db:
        assert db.scalars(select(Hold)).all() == []


class TestMakingItAgain:
    """Into the same folder only what is new is copied; what is wrong there is mended."""

    def test_nothing_new_copies_nothing(self, small, tmp_path):
        first = make(small, tmp_path / "copy")
        second = make(small, tmp_path / "copy")
        assert (first.copied_blobs, second.copied_blobs, second.removed_blobs) == (
            first.blobs,
            0,
            0,
        )
        assert second.blobs == first.blobs

    def test_what_no_row_tells_of_any_more_is_removed(self, small, tmp_path):
        make(small, tmp_path / "copy")
        with small.registry.database.read() as db:
            slug = db.scalar(select(Organisation.slug))
        acme = client_with_new_key(small, slug)
        acme.send_json(
            "DELETE", "/api/packages/package-0/versions/3", {"reason": "leaked"}, status=200
        )
        acme.publish("package-0", package_zip("package-0", text="new"))
        done = make(small, tmp_path / "copy")
        assert (done.copied_blobs, done.removed_blobs) == (1, 1)
        assert len(list(tmp_path.glob("copy/rows-*"))) == 1

    def test_a_copy_that_was_cut_short_is_copied_again(self, small, tmp_path):
        make(small, tmp_path / "copy")
        key = keys_of(small)[0]
        (tmp_path / "copy" / "blobs" / key).write_bytes(b"cut")
        assert make(small, tmp_path / "copy").copied_blobs == 1
        assert (tmp_path / "copy" / "blobs" / key).read_bytes() == content(small, key)

    @pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
    def test_a_good_copy_outlives_its_damaged_original(self, small, tmp_path, other, damage):
        make(small, tmp_path / "copy")
        key = keys_of(small)[0]
        whole = content(small, key)
        if damage == "remove":
            small.registry.stores.main.delete(key)
        else:
            put(small, key, whole[:-1] + (b"\0" if damage == "flip" else b""))
        done = make(small, tmp_path / "copy")
        assert (done.damaged, done.copied_blobs) == ([], 0)
        restored = other()
        restore(restored, tmp_path / "copy")
        assert findings(restored) == []
        assert content(restored, key) == whole

    @pytest.mark.parametrize("damage", [b"other", None])
    def test_what_is_damaged_and_was_never_copied_is_named_and_the_rest_copied(
        self, small, tmp_path, other, damage
    ):
        key = keys_of(small)[0]
        if damage is None:
            small.registry.stores.main.delete(key)
        else:
            put(small, key, damage)
        done = make(small, tmp_path / "copy")
        assert done.damaged == [key]
        assert done.blobs == len({*keys_of(small), key}) - 1
        assert list(Backup(tmp_path / "copy").manifest().damaged) == [key]
        restored = other()
        back = restore(restored, tmp_path / "copy")
        assert back.damaged == [key]
        assert {finding.subject for finding in findings(restored)} == {key}


def client_with_new_key(hub, slug):
    return Client(hub, slug, hub.issue_key(slug))


class Stop(Exception):
    """What interrupts a backup in these tests."""


STEPS = (
    "write_rows",
    "write_blobs",
    "sync_folder",
    "copy_if_whole",
    "heads_of",
    "write_durably",
    "sweep",
)


def test_what_has_rotted_in_a_backup_is_mended_by_reading_it(small, tmp_path, other):
    copy = tmp_path / "copy"
    make(small, copy)
    files = (path for path in (copy / "blobs").rglob("*") if path.is_file())
    rotten = next(path for path in files if path.stat().st_size)
    rotten.write_bytes(bytes([rotten.read_bytes()[0] ^ 1]) + rotten.read_bytes()[1:])
    assert make(small, copy).copied_blobs == 0
    registry = small.registry
    assert Backup(copy).make(registry.database, registry.stores, deep=True).copied_blobs == 1
    restored = other()
    assert restore(restored, copy).damaged == []
    assert findings(restored) == []


def test_a_restore_that_is_stopped_leaves_no_row_in_a_store_that_is_not_there(
    tmp_path, unprepared, monkeypatch
):
    (tmp_path / "with").mkdir()
    hub = Hub.below(tmp_path / "with", pages=f"osfs://{tmp_path}/pages")
    hub.organisation().publish_page("site")
    make(hub, tmp_path / "copy")
    hub.registry.database.close()

    def stop(*_arguments):
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):  # noqa: PT012
        patch.setattr(module, "upgrade", stop)
        restore(unprepared, tmp_path / "copy")
    with unprepared.database.read() as db:
        assert db.scalars(select(Blob.store)).all() == ["blobs"]


class TestInterrupted:
    """Whatever stops a backup, the one before is still whole, and the next one mends the folder."""

    @pytest.mark.parametrize("step", STEPS)
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_an_error_at_any_step(self, small, tmp_path, other, monkeypatch, step, moment):
        copy = tmp_path / "copy"
        make(small, copy)
        before = rows_of(small)
        with small.registry.database.read() as db:
            slug = db.scalar(select(Organisation.slug))
        acme = client_with_new_key(small, slug)
        acme.publish("package-0", package_zip("package-0", text="new"))
        real = getattr(module, step)

        def stop(*arguments, **options):
            if moment == "after":
                real(*arguments, **options)
            raise Stop

        with monkeypatch.context() as patch:
            patch.setattr(module, step, stop)
            with pytest.raises(Stop):
                make(small, copy)
        shutil.copytree(copy, tmp_path / "as-it-was")
        restored = other()
        done = restore(restored, tmp_path / "as-it-was")
        assert done.damaged == []
        assert findings(restored) == []
        is_new = rows_of(restored)["packages_version"] != before["packages_version"]
        assert is_new == (step == "sweep" or (step, moment) == ("write_durably", "after"))
        make(small, copy)
        assert len(list(copy.glob("rows-*"))) == 1
        again = other("again")
        done = restore(again, copy)
        assert rows_of(again) == rows_of(small)
        assert done.damaged == []
        with small.registry.database.read() as db:
            assert db.scalars(select(Hold)).all() == []

    def test_a_first_one_that_did_not_end_is_no_backup(self, small, tmp_path, monkeypatch):
        def stop(*_):
            raise Stop

        with monkeypatch.context() as patch:
            patch.setattr(module, "copy_if_whole", stop)
            with pytest.raises(Stop):
                make(small, tmp_path / "copy")
        with pytest.raises(NotACopy, match="is no backup"):
            Backup(tmp_path / "copy").manifest()
        assert make(small, tmp_path / "copy").damaged == []

    def test_a_manifest_that_was_just_being_written_is_in_nobodys_way(self, small, tmp_path):
        make(small, tmp_path / "copy")
        (tmp_path / "copy" / "backup.json.new").write_bytes(b'{"half')
        assert make(small, tmp_path / "copy").damaged == []
        assert not (tmp_path / "copy" / "backup.json.new").exists()

    def test_two_at_once_are_refused(self, small, tmp_path):
        copy = Backup(tmp_path / "copy")
        make(small, tmp_path / "copy")
        with copy._alone(), pytest.raises(InUse, match="another process is using"):
            make(small, tmp_path / "copy")
        assert make(small, tmp_path / "copy").copied_blobs == 0

    def test_standing_still_for_too_long_ends_it(self, small, tmp_path, monkeypatch):
        real = module.copy_if_whole

        def slow(*arguments):
            with small.registry.database.write() as db:
                db.execute(update(Hold).values(until=now() - timedelta(seconds=1)))
            monkeypatch.setattr("hubrepo.kernel.blobs.holds.RENEWED_AFTER", timedelta(0))
            return real(*arguments)

        monkeypatch.setattr(module, "copy_if_whole", slow)
        with pytest.raises(HoldLapsed):
            make(small, tmp_path / "copy")
        with pytest.raises(NotACopy):
            Backup(tmp_path / "copy").manifest()


def text_of(part: bytes) -> bytes | None:
    try:
        return gzip.decompress(part)
    except (EOFError, OSError, zlib.error):
        return None


class TestDamaged:
    """A backup that is not what was written says so, and nothing of it is taken."""

    @pytest.fixture
    def copy(self, small, tmp_path):
        make(small, tmp_path / "copy")
        return Backup(tmp_path / "copy")

    def parts(self, copy):
        return sorted(copy.folder.glob("rows-*/*.gz"))

    def test_every_part_of_the_rows(self, copy, other):
        bare = other()
        refused = 0
        for part in self.parts(copy):
            whole = part.read_bytes()
            for damaged in (
                whole[: len(whole) // 2],
                b"",
                whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:],
                b"\0" + whole[1:],
                gzip.compress(gzip.decompress(whole) + b"{}\n"),
                gzip.compress(b"[]" * 10),
            ):
                if text_of(damaged) == text_of(whole):
                    continue  # it says the same: no rows are no bytes, and some bits are padding
                part.write_bytes(damaged)
                with pytest.raises(CopyDamaged, match=part.name.removesuffix(".gz")):
                    restore(bare, copy.folder)
                refused += 1
            part.unlink()
            with pytest.raises(CopyDamaged):
                restore(bare, copy.folder)
            part.write_bytes(whole)
        assert refused > 50
        assert restore(bare, copy.folder).damaged == []

    def test_bytes_all_over_the_manifest(self, copy):
        path = copy.folder / "backup.json"
        whole = path.read_bytes()
        facts = json.loads(whole)
        for at in range(0, len(whole), 5):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
            try:
                found = copy.manifest()
            except NotACopy:
                continue
            # White space, or the last bit of a hexadecimal number in another case: it says the same.
            assert found.dump() == whole, at
        assert facts["kind"] == "hubrepo backup"

    def test_its_blobs_are_named_one_by_one(self, small, copy, other):
        keys = keys_of(small)
        place = copy.folder / "blobs"
        (place / keys[0]).unlink()
        (place / keys[1]).write_bytes(b"other")
        flipped = bytearray((place / keys[2]).read_bytes())
        flipped[5] ^= 1
        (place / keys[2]).write_bytes(flipped)
        restored = other()
        done = restore(restored, copy.folder)
        assert done.damaged == keys[:3]
        assert {finding.subject for finding in findings(restored)} == set(keys[:3])

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [("nothing", "is no backup: No such file"), ("empty", "is no backup: No such file")],
    )
    def test_a_folder_that_is_none(self, tmp_path, other, name, sentence):
        (tmp_path / "empty").mkdir()
        with pytest.raises(NotACopy, match=sentence):
            restore(other(), tmp_path / name)

    def test_an_export_is_no_backup(self, copy):
        path = copy.folder / "backup.json"
        facts = json.loads(path.read_bytes())
        facts["format"] = 2
        path.write_text(json.dumps(facts))
        with pytest.raises(NotACopy, match="format 2"):
            copy.manifest()


class TestPlaces:
    """Where a backup and a restore may go."""

    def test_a_folder_with_other_things_in_it_is_left_alone(self, small, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(NotEmpty, match="which is of no backup"):
            make(small, tmp_path)

    def test_a_hub_that_has_something_is_not_restored_into(self, small, tmp_path):
        make(small, tmp_path / "copy")
        registry, before = small.registry, rows_of(small)
        with pytest.raises(NotEmpty, match="is not empty"):
            Backup(tmp_path / "copy").restore(
                registry.database, registry.stores, registry.migrations
            )
        assert rows_of(small) == before

    def test_a_restore_that_failed_at_the_store_can_be_done_again(
        self, small, tmp_path, unprepared, monkeypatch
    ):
        make(small, tmp_path / "copy")
        real, calls = module.copy_if_whole, []

        def stop(*arguments):
            calls.append(arguments)
            if len(calls) == 3:
                raise Stop
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module, "copy_if_whole", stop)
            with pytest.raises(Stop):
                restore(unprepared, tmp_path / "copy")
        with unprepared.database.read() as db:
            assert db.scalar(select(Organisation.id)) is None
        restore(unprepared, tmp_path / "copy")
        restored = Hub.below(tmp_path / "bare")
        assert rows_of(restored) == rows_of(small)
        assert findings(restored) == []
        restored.registry.database.close()


class TestOtherVersions:
    """Rows of an older hub are put into the tables of their time, and migrated."""

    def test_a_backup_of_an_older_schema_is_restored(self, small, tmp_path, unprepared):
        """As a hub wrote it that knew neither products nor pages nor limits of them nor named stores."""
        make(small, tmp_path / "copy")
        self.make_older(tmp_path / "copy")
        assert restore(unprepared, tmp_path / "copy").damaged == []
        restored = Hub.below(tmp_path / "bare")
        found, expected = rows_of(restored), rows_of(small)
        assert found.pop("pages_page") == []
        same = {name for name in found if found[name] == expected[name]}
        unknown = {name for name in found if name.startswith(("pages_", "artifacts_"))}
        assert set(found) - same == unknown
        assert [name for name in unknown if found[name]] == []
        # Blobs of pages and products are nobody's: the older hub had none.
        assert {finding.kind for finding in findings(restored)} == {"dangling"}
        restored.registry.database.close()

    def make_older(self, folder):
        copy = Backup(folder)
        manifest = copy.manifest()
        older = {
            "accounts_organisation": ("max_pages",),
            "accounts_api_key": ("only", "successor"),
            "blobs_blob": ("store", "leaving_at"),
        }
        tables = {
            name: facts
            for name, facts in manifest.tables.items()
            if not name.startswith(("pages_", "artifacts_"))
        }
        for name, dropped in older.items():
            rows = list(copy._read(manifest.rows, name, manifest.tables[name]))
            lines = (
                json.dumps({k: v for k, v in row.items() if k not in dropped}).encode() + b"\n"
                for row in rows
            )
            with copy._part(manifest.rows, "wb", name) as file:
                facts = Rows().write(lines, file).facts(manifest.tables[name].last_id)
            tables[name] = facts
        heads = ["packages_0001"]
        changed = Manifest(
            manifest.kind, manifest.made_at, heads, manifest.rows, tables, manifest.blobs,
            manifest.size,
        )  # fmt: skip
        (folder / "backup.json").write_bytes(changed.dump())

    def test_one_of_a_newer_hub_is_refused(self, small, tmp_path, unprepared):
        make(small, tmp_path / "copy")
        copy = Backup(tmp_path / "copy")
        manifest = copy.manifest()
        path = tmp_path / "copy" / "backup.json"
        path.write_bytes(replace(manifest, heads=["kernel_9999"]).dump())
        with pytest.raises(NotACopy, match="newer hub"):
            restore(unprepared, tmp_path / "copy")


def test_values_of_every_kind_come_back_as_they_were(small, tmp_path, other):
    strange = "\U0001f4e6 \u202e 'quoted' \"twice\" \\ \n\r\t \u2028 ٣"
    moment = datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    with small.registry.database.write() as db:
        organisation = db.scalars(select(Organisation)).first()
        organisation.max_stored_bytes, organisation.max_versions = 2**63 - 1, 0
        organisation.name, organisation.created_at = strange, moment
        db.execute(
            update(ApiKey).values(expires_at=datetime(9999, 12, 31, 23, 59, 59, 999999, UTC))
        )
    before = rows_of(small)
    make(small, tmp_path / "copy")
    restored = other()
    restore(restored, tmp_path / "copy")
    assert rows_of(restored) == before
    with restored.registry.database.read() as db:
        found = db.scalars(select(Organisation)).first()
        assert (found.name, found.created_at, found.max_stored_bytes) == (
            strange,
            moment,
            2**63 - 1,
        )


class TestStoresOfTheirOwn:
    """Pages in a store of their own are backed up from there, and restored to wherever there is."""

    @pytest.fixture
    def two(self, tmp_path):
        folder = tmp_path / "two"
        folder.mkdir()
        hub = Hub.below(folder, pages=f"osfs://{folder}/pages")
        self.acme = fill(hub, organisations=1)[0]
        yield hub
        hub.registry.database.close()

    def test_both_are_in_the_backup(self, two, tmp_path, other):
        done = make(two, tmp_path / "copy")
        assert done.blobs == len(keys_of(two)) + len(keys_of(two, "pages"))
        restored = other(pages=f"osfs://{tmp_path}/other/pages")
        restore(restored, tmp_path / "copy")
        for store in ("blobs", "pages"):
            assert keys_of(restored, store) == keys_of(two, store)
        assert findings(restored) == []
        assert rows_of(restored) == rows_of(two)

    def test_a_hub_with_one_store_takes_both_and_can_get_a_second_one_later(
        self, two, tmp_path, other
    ):
        make(two, tmp_path / "copy")
        restored = other()
        restore(restored, tmp_path / "copy")
        assert findings(restored) == []
        assert assert_readable(restored, client_of(restored, self.acme)) == READABLE
        later = Hub.below(tmp_path / "other", pages=f"osfs://{tmp_path}/other/pages")
        assert findings(later) == []
        assert assert_readable(later, client_of(later, self.acme)) == READABLE
