"""One organisation moves to another hub, whole, alone, and proved."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from hubrepo.cli.command import Command
from hubrepo.kernel.accounts import ApiKey, Membership, Organisation, User
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.blobs.models import Hold
from hubrepo.kernel.db import Base
from hubrepo.kernel.transfer import (
    AlreadyHere,
    CopyDamaged,
    NotACopy,
    export_organisation,
    import_organisation,
)
from hubrepo.kernel.transfer import imports as module
from hubrepo.kernel.transfer.exports import queries
from hubrepo.kernel.transfer.imports import Export
from hubrepo.kernel.transfer.manifests import LONGEST, Manifest, Rows
from hubrepo.kernel.transfer.snapshots import LEFT_OUT
from tests.support.archives import package_zip
from tests.support.features import HAS_ARTIFACTS
from tests.support.filled import (
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
from tests.support.hub import Client

pytestmark = pytest.mark.long


@pytest.fixture
def acme(request, tmp_path):
    """One of two organisations with all that there can be."""
    return fill(make_hub(request, tmp_path / "hub", "memory", "sqlite"))[0]


@pytest.fixture
def hub(acme):
    return acme.hub


@pytest.fixture
def target(request, tmp_path):
    """Another hub, in which others live already."""
    hub = make_hub(request, tmp_path / "target", "memory", "sqlite")
    with hub.registry.database.write() as db:
        accounts = hub.accounts(db)
        accounts.attach(accounts.create_organisation("Others", "others"), "somebody", None)
    Client(hub, "others", hub.issue_key("others")).publish("package-0")
    return hub


@pytest.fixture
def file(tmp_path):
    return tmp_path / "acme.zip"


@pytest.fixture
def exported(hub, acme, file):
    export(hub, acme.slug, file)
    return file


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


def members(file) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {each.filename: archive.read(each) for each in archive.infolist()}


def rewrite(file, changed):
    """Write the export with other parts; one that is None is left out."""
    parts = members(file) | changed
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            if data is not None:
                archive.writestr(name, data)


def with_rows(file, table, change):
    """Write the export as somebody who means ill: its rows changed, all digests right."""
    export = Export(file)
    lines = [json.dumps(change(row)).encode() + b"\n" for row in export._rows(table)]
    tables = {**export.manifest.tables, table: Rows().write(lines, io.BytesIO()).facts()}
    manifest = replace(export.manifest, tables=tables).dump()
    rewrite(file, {f"rows/{table}": b"".join(lines), "organisation.json": manifest})


def check_products(there, acme):
    """Tokens may do there what they may do here, and no more."""
    tokens = (f"/fetch/{acme.raw_admin}", f"/fetch/{acme.raw_holder}")
    for path in ("/product/access", "/product/fetch/engine", *tokens):
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


@pytest.mark.backend
def test_an_organisation_comes_over_as_it_was(request, file, tmp_path):
    hub = make_hub(request, tmp_path / "hub")
    acme = fill(hub)[0]
    archive, key = package_zip("retried"), {"Idempotency-Key": "retried"}
    first = acme.publish("retried", archive, headers=key)
    exported = export(hub, acme.slug, file)
    target = make_hub(request, tmp_path / "there")
    fill(target, anew=True)
    with target.registry.database.write() as db:
        # So that it is nobody of this hub.
        db.execute(update(Organisation).values(slug=Organisation.slug + "-here"))
        db.execute(update(User).values(username=User.username + "-here"))
    before, blobs = left(target)
    moved = bring(target, file)
    assert moved == replace(exported, slug=acme.slug)
    there = client_of(target, acme)
    assert assert_readable(target, there) == assert_readable(hub, acme) == READABLE + 1
    assert findings(target) == []
    for path in (
        "packages?limit=50",
        *(f"packages/package-0/{what}" for what in ("versions", "history", "aliases")),
        "pages",
        "pages/docs/manual/publications",
        "organisation",
    ):
        assert there.get(f"/api/{path}").body == acme.get(f"/api/{path}").body
    assert there.publish("retried", archive, headers=key) == first
    assert there.publish("package-0")["version"] == 4
    if HAS_ARTIFACTS:
        check_products(there, acme)
    here, then = (
        [(each.guid, each.at, each.actor, each.action, each.subject) for each in who.events(1000)]
        for who in (acme, there)
    )
    assert then[-len(here) :] == here
    after = rows_of(target)
    for table, rows in before.items():
        if table not in {"audit_event", "accounts_organisation", "accounts_api_key"}:
            assert set(rows) <= set(after[table]), table
    assert set(blobs) <= set(keys_of(target))


def test_nothing_of_another_organisation_is_in_the_file(request, tmp_path, file):
    hub = make_hub(request, tmp_path / "hub", "memory", "sqlite")
    acme, beta = fill(hub)
    export(hub, acme.slug, file)
    parts = members(file)
    everything = b"".join(parts.values())
    with hub.registry.database.read() as db:
        strange = db.scalars(select(Organisation).where(Organisation.slug == beta.slug)).one()
        of_it = Membership.organisation_id == strange.id
        user = db.scalars(select(User).join(Membership).where(of_it)).one()
        keys = db.scalars(select(ApiKey).where(ApiKey.organisation_id == strange.id)).all()
        traces = [strange.slug, strange.name, strange.guid.hex, user.username, user.guid.hex]
        if HAS_ARTIFACTS:
            raw = (beta.raw_admin, beta.raw_holder, beta.raw_pruned, acme.raw_admin)
            theirs = (beta.admin, beta.holder, beta.pruned)
            traces += [*raw, *(each.digest for each in theirs)]
        traces += [each for key in keys for each in (key.prefix, key.digest, key.guid.hex)]
        mine = select(Blob.digest).join(Organisation).where(Organisation.slug == acme.slug)
        digests = set(db.scalars(select(Blob.digest))) - set(db.scalars(mine))
    assert digests
    assert not [each for each in (*traces, *digests) if each.encode() in everything]
    tables = json.loads(parts["organisation.json"])["tables"].values()
    assert {each["last_id"] for each in tables} == {0}


def test_every_table_is_exported_or_left_out_for_a_reason():
    exported = {table.name for table, _ in queries(1)}
    assert exported | LEFT_OUT == set(Base.metadata.tables)


def test_limits_come_over_members_with_their_passwords_and_others_by_name_only(
    hub, acme, target, file
):
    hub.issue_key(acme.slug, user="former")
    with hub.registry.database.write() as db:
        for user in db.scalars(select(User)):
            user.password_hash = f"the secret of {user.username}"
        db.flush()
        accounts = hub.accounts(db)
        organisation = accounts.organisation(acme.slug)
        accounts.remove_member(organisation, "former")
        organisation.max_stored_bytes = 10
    export(hub, acme.slug, file)
    assert b"the secret of former" not in b"".join(members(file).values())
    bring(target, file)
    with target.registry.database.read() as db:
        found = dict(db.execute(select(User.username, User.password_hash)).all())
    secret = "the secret of user-of-0"
    assert found == {"somebody": None, "user-of-0": secret, "former": None}
    client_of(target, acme).publish("more", status=413)


@pytest.mark.backend
def test_an_export_of_a_hub_at_work_is_one_moment_of_it(request, file, tmp_path):
    hub = make_hub(request, tmp_path / "hub")
    acme = fill(hub)[0]
    files = [tmp_path / f"{number}.zip" for number in range(2)]
    with working(*busy_writers(acme, acme, acme)):
        for each in files:
            export(hub, acme.slug, each)
    for each in files:
        there = make_hub(request, tmp_path / each.stem, "memory", "sqlite")
        bring(there, each)
        assert findings(there) == []
        assert assert_readable(there, client_of(there, acme))
    assert findings(hub) == []
    with hub.registry.database.read() as db:
        assert db.scalars(select(Hold)).all() == []


def test_pages_in_a_store_of_their_own_come_over(request, tmp_path, target, file):
    two, three = (
        make_hub(
            request, tmp_path / name, "disk", "sqlite", pages=f"osfs://{tmp_path}/{name}/pages"
        )
        for name in ("two", "three")
    )
    acme = fill(two, organisations=1)[0]
    export(two, acme.slug, file)
    for there in (target, three):
        bring(there, file)
        assert findings(there) == []
        assert assert_readable(there, client_of(there, acme)) == READABLE
    assert keys_of(three, "pages") == keys_of(two, "pages") != []


def test_what_cannot_be_written_whole_is_not_written_at_all(hub, acme, file):
    with hub.registry.database.read() as db:
        mine = select(Organisation.guid).where(Organisation.slug == acme.slug)
        guid = db.scalar(mine).hex
    key = next(key for key in keys_of(hub) if key.startswith(guid))
    put(hub, key, b"other")
    with pytest.raises(CopyDamaged, match=key):
        export(hub, acme.slug, file)
    hub.registry.stores.main.delete(key)
    with pytest.raises(CopyDamaged, match=key):
        export(hub, acme.slug, file)
    assert list(file.parent.glob("*acme*")) == []
    with hub.registry.database.read() as db:
        assert db.scalars(select(Hold)).all() == []


CONTRADICT, STRANGE = "contradict", "not such as a hub writes"
MADE_UP = [
    ("accounts_user", lambda row: row | {"unheard_of": 1}, STRANGE),
    ("accounts_user", lambda row: row | {"created_at": "soon"}, STRANGE),
    ("accounts_user", lambda row: row | {"guid": "../../etc"}, STRANGE),
    ("accounts_user", lambda _: [1, 2], STRANGE),
    ("accounts_user", lambda row: row | {"username": {"a": 1}}, CONTRADICT),
    ("accounts_user", lambda row: row | {"username": None}, CONTRADICT),
    ("accounts_membership", lambda row: row | {"user_id": 4711}, CONTRADICT),
    ("audit_event", lambda row: row | {"organisation_id": 4711}, "another organisation"),
    ("blobs_blob", lambda row: row | {"digest": f"{'../' * 20}{row['id']:04}"}, "or missing"),
    ("blobs_blob", lambda row: row | {"size": row["size"] + 1}, "damaged or missing"),
]


class TestRefusedImports:
    """What cannot be taken whole is not taken at all, and nothing is left of it."""

    def refuse(self, target, file, kind, words):
        before = left(target)
        with pytest.raises(kind, match=words):
            bring(target, file)
        assert left(target) == before

    def test_who_is_here_already(self, hub, target, exported, acme):
        self.refuse(hub, exported, AlreadyHere, f"the organisation {acme.slug} of this hub")
        with target.registry.database.write() as db:
            accounts = target.accounts(db)
            accounts.attach(accounts.organisation("others"), "user-of-0", None)
        self.refuse(target, exported, AlreadyHere, "this hub has a user user-of-0 already")

    def test_a_key_or_token_that_is_here_already(self, target, exported, acme):
        """Only the database finds it: after the bytes were put, before any row is there."""
        taken = [(ApiKey, "prefix", acme.key.split("_")[1])]
        if HAS_ARTIFACTS:
            from hubrepo.features.artifacts.models import Token

            target.issue_token("others")
            taken.append((Token, "digest", acme.admin.digest))
        for model, name, value in taken:
            with target.registry.database.write() as db:
                row = db.scalars(select(model)).one()
                usual = getattr(row, name)
                setattr(row, name, value)
            before = rows_of(target)
            with pytest.raises(AlreadyHere, match="something of it is in this hub already"):
                bring(target, exported)
            assert rows_of(target) == before
            with target.registry.database.write() as db:
                setattr(db.scalars(select(model)).one(), name, usual)

    def test_what_is_no_export_or_not_a_whole_one(self, target, exported):
        whole = exported.read_bytes()
        for length in (0, 10, 5000, -1, -30):
            exported.write_bytes(whole[:length])
            self.refuse(target, exported, NotACopy, "is no export of an organisation")
        with zipfile.ZipFile(exported, "w") as archive:
            archive.writestr("backup.json", b"{}")
        self.refuse(target, exported, NotACopy, "is no export")
        exported.unlink()
        self.refuse(target, exported, NotACopy, "cannot be read: No such file")

    def test_proving_finds_bits_that_flipped_and_writes_nothing(self, target, exported, acme):
        """Each is refused, or makes no difference to what is taken."""
        whole, before, refused = exported.read_bytes(), left(target), 0
        assert bring(target, exported, prove=True).slug == acme.slug
        places = [*range(9, len(whole), len(whole) // 12), *range(len(whole) - 120, len(whole), 40)]
        for at in places:
            exported.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            try:
                assert bring(target, exported, prove=True).slug == acme.slug
            except (CopyDamaged, NotACopy):
                refused += 1
        assert left(target) == before
        assert refused > len(places) // 2

    def test_bytes_that_are_missing_or_others_are_refused_before_any_is_put(self, target, exported):
        first, *_, last = [name for name in members(exported) if name.startswith("blobs/")]
        for name, data in ((last, b"other"), (first, None)):
            rewrite(exported, {name: data})
            self.refuse(target, exported, CopyDamaged, "are damaged or missing")

    def test_a_manifest_that_is_none(self, target, exported):
        for manifest in (b"", b"[]", b"{}", b"null", b"\xff", b'{"format": 1, "sha256": 3}'):
            with pytest.raises(NotACopy, match=r"manifest|format"):
                Manifest.load(manifest, "any")
        for manifest, words in ((b"[]", "manifest"), (b" " * (LONGEST + 1), "far too long")):
            rewrite(exported, {"organisation.json": manifest})
            self.refuse(target, exported, NotACopy, words)

    def test_more_rows_than_it_says_and_a_row_as_long_as_memory(
        self, target, exported, monkeypatch
    ):
        name, words = "rows/accounts_user", "accounts_user in the copy are damaged"
        users = members(exported)[name]
        rewrite(exported, {name: users * 1000})
        self.refuse(target, exported, CopyDamaged, words)
        rewrite(exported, {name: users})
        monkeypatch.setattr("hubrepo.kernel.transfer.manifests.LONGEST", 1000)
        with_rows(exported, "accounts_user", lambda row: row | {"username": "x" * 2000})
        self.refuse(target, exported, CopyDamaged, words)

    def test_rows_that_somebody_made_up(self, target, exported):
        whole, before = exported.read_bytes(), rows_of(target)
        for table, change, words in MADE_UP:
            exported.write_bytes(whole)
            with_rows(exported, table, change)
            with pytest.raises(CopyDamaged, match=words):
                bring(target, exported)
            assert rows_of(target) == before

    def test_names_that_lead_elsewhere_are_never_followed(self, target, exported, tmp_path):
        rewrite(exported, {"/etc/evil": b"evil", "../../evil": b"evil"})
        bring(target, exported)
        assert not list(tmp_path.rglob("evil"))
        self.refuse(target, exported, AlreadyHere, "has the same slug, name or GUID")

    def test_a_store_that_fails_leaves_no_rows_and_a_second_try_succeeds(
        self, target, exported, monkeypatch, acme
    ):
        real, calls, before = module.copy_blob, iter(range(2)), rows_of(target)

        def full(*arguments):
            if next(calls, None) is None:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(module, "copy_blob", full)
            with pytest.raises(OSError, match="No space left"):
                bring(target, exported)
        assert rows_of(target) == before
        bring(target, exported)
        assert findings(target) == []
        assert assert_readable(target, client_of(target, acme))
