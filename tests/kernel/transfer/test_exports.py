"""One organisation moves to another hub, whole, alone, and proved."""

import io
import json
import random
import zipfile
from dataclasses import replace

import pytest
from sqlalchemy import select

from hubrepo.cli.command import Command
from hubrepo.kernel.accounts import ApiKey, Membership, Organisation, User
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.blobs.models import Hold
from hubrepo.kernel.db import Base
from hubrepo.kernel.transfer import (
    AlreadyHere,
    CopyDamaged,
    NotACopy,
    NotEmpty,
    OrganisationUnknown,
    export_organisation,
    import_organisation,
)
from hubrepo.kernel.transfer import imports as module
from hubrepo.kernel.transfer.exports import queries
from hubrepo.kernel.transfer.imports import Export
from hubrepo.kernel.transfer.manifests import Rows
from hubrepo.kernel.transfer.snapshots import LEFT_OUT
from tests.support.archives import package_zip
from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.filled import (
    EVERY_PLACE,
    READABLE,
    assert_readable,
    busy_writers,
    client_of,
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


@pytest.fixture
def hub(request, tmp_path):
    return make_hub(request, tmp_path / "hub", "memory", "sqlite")


@pytest.fixture
def clients(hub):
    found = fill(hub)
    with hub.registry.database.write() as db:
        for user in db.scalars(select(User)):
            user.password_hash = f"the secret of {user.username}"
    return found


@pytest.fixture
def target(request, tmp_path):
    """Another hub, in which others live already."""
    hub = make_hub(request, tmp_path / "target", "memory", "sqlite")
    with hub.registry.database.write() as db:
        accounts = hub.accounts(db)
        accounts.attach(accounts.create_organisation("Others", "others"), "somebody", None)
    others = Client(hub, "others", hub.issue_key("others"))
    others.publish("package-0")
    return hub


@pytest.fixture
def file(tmp_path):
    return tmp_path / "acme.zip"


def export(hub, slug, file):
    hub.registry.afterwards.settle()
    return export_organisation(hub.registry.database, hub.registry.stores, slug, file)


def bring(hub, file, **options):
    registry = hub.registry
    return import_organisation(
        registry.database, registry.stores, registry.migrations, file, Command.log, **options
    )


def left(hub):
    return rows_of(hub), keys_of(hub)


def members(data_of: zipfile.ZipFile) -> dict[str, bytes]:
    return {each.filename: data_of.read(each) for each in data_of.infolist()}


def rewrite(file, changed):
    """The export with other parts; one that is None is left out."""
    with zipfile.ZipFile(file) as archive:
        parts = members(archive) | changed
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            if data is not None:
                archive.writestr(name, data)


def with_rows(file, table, change):
    """The export as somebody wrote it who means ill: its rows changed, all digests right."""
    export = Export(file)
    lines = [json.dumps(change(row)).encode() + b"\n" for row in export._rows(table)]
    facts = Rows().write(lines, io.BytesIO()).facts()
    tables = {**export.manifest.tables, table: facts}
    manifest = replace(export.manifest, tables=tables).dump()
    rewrite(file, {f"rows/{table}": b"".join(lines), "organisation.json": manifest})


def check_products(there, acme):
    """Tokens may do there what they may do here, and no more."""
    for path in (
        "/product/access",
        "/product/fetch/engine",
        f"/fetch/{acme.raw_admin}",
        f"/fetch/{acme.raw_holder}",
    ):
        # When a token was used last is noted now and then, by each hub on its own.
        here, moved = (who.admin.get(path).json for who in (acme, there))
        if "last_used_at" in here:
            assert here.pop("last_used_at")
            assert moved.pop("last_used_at")
        assert moved == here
    assert there.holder.get("/product/access").json == ["bolt", "engine"]
    assert there.holder.fetched("engine", "v1.0.0") == acme.holder.fetched("engine", "v1.0.0")
    assert there.holder.put("engine", "v2", status=403)
    there.pruned.get("/product/access", 401)
    assert there.admin.put("engine", "v2")["size"] == len(b"content")


@pytest.mark.parametrize("place", EVERY_PLACE)
def test_an_organisation_comes_over_as_it_was(request, hub, clients, file, tmp_path, place):
    acme = clients[0]
    archive, key = package_zip("retried"), {"Idempotency-Key": "retried"}
    first = acme.publish("retried", archive, headers=key)
    exported = export(hub, acme.slug, file)
    target = make_hub(request, tmp_path / "there", *place)
    fill(target, anew=True)
    with target.registry.database.write() as db:
        # So that it is nobody of this hub.
        db.execute(Organisation.__table__.update().values(slug=Organisation.slug + "-here"))
        db.execute(User.__table__.update().values(username=User.username + "-here"))
    before, blobs = rows_of(target), set(keys_of(target))
    moved = bring(target, file)
    assert (moved.slug, moved.rows, moved.blobs, moved.size) == (
        acme.slug,
        exported.rows,
        exported.blobs,
        exported.size,
    )
    there = client_of(target, acme)
    assert assert_readable(target, there) == assert_readable(hub, acme) == READABLE + 1
    assert findings(target) == []
    for path in (
        "/api/packages?limit=50",
        "/api/packages/package-0/versions",
        "/api/packages/package-0/history",
        "/api/packages/package-0/aliases",
        "/api/pages",
        "/api/pages/docs/manual/publications",
        "/api/organisation",
    ):
        assert there.get(path).body == acme.get(path).body
    assert there.publish("retried", archive, headers=key) == first
    assert there.publish("package-0")["version"] == 4
    if HAS_ARTIFACTS:
        check_products(there, acme)
    same = [(e.guid, e.at, e.actor, e.action, e.subject) for e in acme.events(1000)]
    assert [(e.guid, e.at, e.actor, e.action, e.subject) for e in there.events(1000)][
        -len(same) :
    ] == same
    after = rows_of(target)
    for table, rows in before.items():
        if table not in {"audit_event", "accounts_organisation", "accounts_api_key"}:
            assert set(rows) <= set(after[table]), table
    assert blobs <= set(keys_of(target))


def test_nothing_of_another_organisation_is_in_the_file(hub, clients, file):
    acme, beta = clients
    export(hub, acme.slug, file)
    with zipfile.ZipFile(file) as archive:
        everything = b"".join(members(archive).values())
    with hub.registry.database.read() as db:
        strange = db.scalars(select(Organisation).where(Organisation.slug == beta.slug)).one()
        user = db.scalars(select(User).join(Membership).where(
            Membership.organisation_id == strange.id)).one()  # fmt: skip
        keys = db.scalars(select(ApiKey).where(ApiKey.organisation_id == strange.id)).all()
        traces = [strange.slug, strange.name, strange.guid.hex, user.username, user.guid.hex]
        if HAS_ARTIFACTS:
            raw = (beta.raw_admin, beta.raw_holder, beta.raw_pruned, acme.raw_admin)
            theirs = (beta.admin, beta.holder, beta.pruned)
            traces += [*raw, *(each.digest for each in theirs)]
        traces += [each for key in keys for each in (key.prefix, key.digest, key.guid.hex)]
        own = set(db.scalars(select(Blob.digest).join(Organisation).where(
            Organisation.slug == acme.slug)))  # fmt: skip
        digests = set(db.scalars(select(Blob.digest))) - own
    assert digests
    assert not [each for each in (*traces, *digests) if each.encode() in everything]
    assert {each["last_id"] for each in json.loads(
        zipfile.ZipFile(file).read("organisation.json"))["tables"].values()} == {0}  # fmt: skip


def test_every_table_is_exported_or_left_out_for_a_reason():
    exported = {table.name for table, _ in queries(1)}
    assert exported | LEFT_OUT == set(Base.metadata.tables)


def test_members_keep_their_passwords_and_others_their_names_only(hub, clients, target, file):
    acme = clients[0]
    hub.issue_key(acme.slug, user="former")
    with hub.registry.database.write() as db:
        accounts = hub.accounts(db)
        db.scalars(select(User).where(User.username == "former")).one().password_hash = "former's"
        accounts.remove_member(accounts.organisation(acme.slug), "former")
    export(hub, acme.slug, file)
    with zipfile.ZipFile(file) as archive:
        assert b"former's" not in b"".join(members(archive).values())
    bring(target, file)
    with target.registry.database.read() as db:
        found = dict(db.execute(select(User.username, User.password_hash)).all())
    assert found == {
        "somebody": None,
        "user-of-0": "the secret of user-of-0",
        "former": None,
    }


def test_limits_are_part_of_an_organisation(hub, clients, target, file):
    with hub.registry.database.write() as db:
        db.scalars(select(Organisation)).first().max_stored_bytes = 10
    export(hub, clients[0].slug, file)
    bring(target, file)
    client_of(target, clients[0]).publish("more", status=413)


def test_an_export_of_a_hub_at_work_is_one_moment_of_it(hub, clients, request, tmp_path):
    acme = clients[0]

    with working(*busy_writers(acme, acme, acme)):
        for number in range(4):
            export(hub, acme.slug, tmp_path / f"{number}.zip")
    for number in range(4):
        there = make_hub(request, tmp_path / f"there-{number}", "memory", "sqlite")
        bring(there, tmp_path / f"{number}.zip")
        assert findings(there) == []
        assert assert_readable(there, client_of(there, acme))
    assert findings(hub) == []
    with hub.registry.database.read() as db:
        assert db.scalars(select(Hold)).all() == []


@pytest.mark.parametrize("has_pages_store", [True, False])
def test_pages_in_a_store_of_their_own_come_over(tmp_path, target, file, has_pages_store):
    (tmp_path / "two").mkdir()
    two = Hub.below(tmp_path / "two", pages=f"osfs://{tmp_path}/two/pages")
    acme = fill(two, organisations=1)[0]
    export(two, acme.slug, file)
    if has_pages_store:
        (tmp_path / "three").mkdir()
        target = Hub.below(tmp_path / "three", pages=f"osfs://{tmp_path}/three/pages")
    bring(target, file)
    assert findings(target) == []
    assert assert_readable(target, client_of(target, acme)) == READABLE
    assert bool(has_pages_store and keys_of(target, "pages")) == has_pages_store
    for each in (two, target):
        each.registry.database.close()


class TestRefusedExports:
    """What cannot be written whole is not written at all."""

    def test_of_nobody(self, hub, file):
        with pytest.raises(OrganisationUnknown, match="there is no organisation nobody"):
            export(hub, "nobody", file)
        assert list(file.parent.glob("*acme*")) == []

    def test_over_a_file_that_is_there(self, hub, clients, file):
        file.write_text("mine")
        with pytest.raises(NotEmpty, match="exists already"):
            export(hub, clients[0].slug, file)
        assert file.read_text() == "mine"

    @pytest.mark.parametrize("damage", [None, b"other"])
    def test_of_a_damaged_hub(self, hub, clients, file, damage):
        with hub.registry.database.read() as db:
            guid = db.scalar(
                select(Organisation.guid).where(Organisation.slug == clients[0].slug)
            ).hex
        key = next(key for key in keys_of(hub) if key.startswith(guid))
        if damage is None:
            hub.registry.stores.main.delete(key)
        else:
            put(hub, key, damage)
        with pytest.raises(CopyDamaged, match=key):
            export(hub, clients[0].slug, file)
        assert list(file.parent.glob("*acme*")) == []
        with hub.registry.database.read() as db:
            assert db.scalars(select(Hold)).all() == []


class TestRefusedImports:
    """What cannot be taken whole is not taken at all, and nothing is left of it."""

    @pytest.fixture
    def exported(self, hub, clients, file):
        export(hub, clients[0].slug, file)
        return file

    def refuse(self, target, file, kind, words):
        before = left(target)
        with pytest.raises(kind, match=words):
            bring(target, file)
        assert left(target) == before

    def test_an_organisation_that_is_here_already(self, hub, target, exported, clients):
        self.refuse(hub, exported, AlreadyHere, f"the organisation {clients[0].slug} of this hub")
        bring(target, exported)
        self.refuse(target, exported, AlreadyHere, "has the same slug, name or GUID")

    def test_a_user_who_is_here_already(self, target, exported):
        with target.registry.database.write() as db:
            accounts = target.accounts(db)
            accounts.attach(accounts.organisation("others"), "user-of-0", None)
        self.refuse(target, exported, AlreadyHere, "this hub has a user user-of-0 already")

    def test_a_key_that_is_here_already(self, target, exported, clients):
        """Only the database finds it: after the bytes were put, before any row is there."""
        with target.registry.database.write() as db:
            db.scalars(select(ApiKey)).one().prefix = clients[0].key.split("_")[1]
        before = rows_of(target)
        with pytest.raises(AlreadyHere, match="something of it is in this hub already"):
            bring(target, exported)
        assert rows_of(target) == before

    @needs_artifacts
    def test_a_token_that_is_here_already(self, target, exported, clients):
        """Its digest is one for all organisations, or nobody could tell whose it is."""
        from hubrepo.features.artifacts.models import Token

        target.issue_token("others")
        digest = clients[0].admin.digest
        with target.registry.database.write() as db:
            db.scalars(select(Token)).one().digest = digest
        before = rows_of(target)
        with pytest.raises(AlreadyHere, match="something of it is in this hub already"):
            bring(target, exported)
        assert rows_of(target) == before

    @pytest.mark.parametrize("length", [0, 10, 5000, -1, -30])
    def test_a_file_that_was_cut(self, target, exported, length):
        exported.write_bytes(exported.read_bytes()[:length])
        self.refuse(target, exported, NotACopy, "is no export of an organisation")

    def test_no_file(self, target, file):
        self.refuse(target, file, NotACopy, "cannot be read: No such file")

    def test_bits_that_flipped_anywhere(self, target, exported, clients):
        """Each is refused, or makes no difference to what is taken."""
        whole, rng = exported.read_bytes(), random.Random(7)
        before, refused, fine = left(target), 0, 0
        places = rng.sample(range(len(whole)), 25) + list(range(len(whole) - 120, len(whole), 10))
        for at in places:
            exported.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            try:
                moved = bring(target, exported, prove=True)
            except (CopyDamaged, NotACopy):
                refused += 1
            else:
                fine += 1
                assert moved.slug == clients[0].slug
            assert left(target) == before
        assert refused > fine

    def test_bytes_that_were_changed_are_refused_before_any_is_put(self, target, exported):
        with zipfile.ZipFile(exported) as archive:
            names = [each for each in archive.namelist() if each.startswith("blobs/")]
        rewrite(exported, {names[-1]: b"other"})
        self.refuse(target, exported, CopyDamaged, "are damaged or missing")

    def test_bytes_that_are_missing(self, target, exported):
        with zipfile.ZipFile(exported) as archive:
            name = next(each for each in archive.namelist() if each.startswith("blobs/"))
        rewrite(exported, {name: None})
        self.refuse(target, exported, CopyDamaged, "are damaged or missing")

    def test_a_backup_is_no_export(self, target, file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("backup.json", b"{}")
        self.refuse(target, file, NotACopy, "is no export")

    @pytest.mark.parametrize(
        "manifest", [b"", b"[]", b"{}", b"null", b"\xff", b'{"format": 1, "sha256": 3}']
    )
    def test_a_manifest_that_is_none(self, target, exported, manifest):
        rewrite(exported, {"organisation.json": manifest})
        self.refuse(target, exported, NotACopy, "manifest|format")

    def test_a_manifest_as_long_as_memory(self, target, exported):
        with zipfile.ZipFile(exported, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("organisation.json", b" " * (64 * 1024**2 + 1))
        self.refuse(target, exported, NotACopy, "far too long")

    def test_a_row_as_long_as_memory(self, target, exported, monkeypatch):
        monkeypatch.setattr("hubrepo.kernel.transfer.manifests.LONGEST", 1000)
        with_rows(exported, "accounts_user", lambda row: row | {"username": "x" * 2000})
        self.refuse(target, exported, CopyDamaged, "accounts_user in the copy are damaged")

    def test_more_rows_than_it_says(self, target, exported):
        with zipfile.ZipFile(exported) as archive:
            users = archive.read("rows/accounts_user")
        rewrite(exported, {"rows/accounts_user": users * 1000})
        self.refuse(target, exported, CopyDamaged, "accounts_user in the copy are damaged")

    @pytest.mark.parametrize(
        ("table", "change", "words"),
        [
            ("accounts_user", lambda row: row | {"unheard_of": 1}, "not such as a hub writes"),
            ("accounts_user", lambda row: row | {"created_at": "soon"}, "not such as a hub writes"),
            ("accounts_user", lambda row: row | {"guid": "../../etc"}, "not such as a hub writes"),
            ("accounts_user", lambda _: [1, 2], "not such as a hub writes"),
            ("accounts_user", lambda row: row | {"username": {"a": 1}}, "contradict"),
            ("accounts_user", lambda row: row | {"username": None}, "contradict"),
            ("accounts_membership", lambda row: row | {"user_id": 4711}, "contradict"),
            ("audit_event", lambda row: row | {"organisation_id": 4711}, "another organisation"),
            (
                "blobs_blob",
                lambda row: row | {"digest": "../" * 20 + f"{row['id']:04}"},
                "damaged or missing",
            ),
            ("blobs_blob", lambda row: row | {"size": row["size"] + 1}, "damaged or missing"),
        ],
    )
    def test_rows_that_somebody_made_up(self, target, exported, table, change, words):
        with_rows(exported, table, change)
        before = rows_of(target)
        with pytest.raises(CopyDamaged, match=words):
            bring(target, exported)
        assert rows_of(target) == before

    def test_names_that_lead_elsewhere_are_never_followed(self, target, exported, tmp_path):
        with zipfile.ZipFile(exported, "a") as archive:
            archive.writestr("/etc/evil", b"evil")
            archive.writestr("../../evil", b"evil")
        bring(target, exported)
        assert not list(tmp_path.rglob("evil"))

    def test_a_store_that_fails_leaves_no_rows_and_a_second_try_succeeds(
        self, target, exported, monkeypatch, clients
    ):
        real, calls, before = module.copy_blob, [], rows_of(target)

        def full(*arguments):
            calls.append(arguments)
            if len(calls) == 3:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module, "copy_blob", full)
            with pytest.raises(OSError, match="No space left"):
                bring(target, exported)
        assert rows_of(target) == before
        bring(target, exported)
        assert findings(target) == []
        assert assert_readable(target, client_of(target, clients[0]))

    def test_proving_writes_nothing(self, target, exported, clients):
        before = left(target)
        assert bring(target, exported, prove=True).slug == clients[0].slug
        assert left(target) == before
