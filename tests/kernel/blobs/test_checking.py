"""A check finds every fault and nothing else, also while the hub is writing."""

import random
from collections import Counter

import pytest
from sqlalchemy import delete, insert, select

from hubrepo.features.packages.models import Alias, Package, Version
from hubrepo.features.pages.models import LivePage, Publication, PublishedFile
from hubrepo.kernel.accounts import Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, doom, key_of, named_by, sweep
from hubrepo.kernel.blobs.models import references
from tests.support import filled
from tests.support.archives import package_zip
from tests.support.contract import statements
from tests.support.features import HAS_ARTIFACTS
from tests.support.filled import by_force, content, fill, findings, keys_of, put, working

NOBODY = "f" * 32


@pytest.fixture
def acme(hub):
    return fill(hub)[0]


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.fixture
def calls(hub, monkeypatch):
    """What the store was asked: the names of methods, and keys."""
    calls, kind = [], type(hub.registry.stores.main)
    for name in ("open", "stat", "list"):
        real = getattr(kind, name)

        def noted(self, *rest, _real=real, _name=name):
            # A disk asks itself again for each of its folders.
            if _name != "list" or not rest:
                calls.append((_name, *rest[:1]))
            return _real(self, *rest)

        monkeypatch.setattr(kind, name, noted)
    return calls


@pytest.mark.backend
@pytest.mark.usefixtures("acme")
def test_every_fault_of_bytes_is_found_and_nothing_else(hub):
    keys = [key for key in keys_of(hub) if content(hub, key)]
    mine, store = named_by(keys[0])[0], hub.registry.stores.main
    missing, cut, longer, changed, moved = random.Random(4).sample(keys, 5)
    misplaced = key_of(NOBODY, named_by(moved)[1])
    added = (key_of(mine, "a" * 64), key_of(NOBODY, "b" * 64), f"{mine}/0123456789abcdef.tmp")
    put(hub, misplaced, content(hub, moved))
    put(hub, cut, content(hub, cut)[:-1])
    put(hub, longer, content(hub, longer) + b"more")
    put(hub, changed, flipped(content(hub, changed)))
    for key in (missing, moved):
        store.delete(key)
    for key in added:
        put(hub, key, b"added")
    expected = [("missing", missing), ("missing", moved), ("truncated", cut), ("changed", longer)]
    expected += [("unknown", key) for key in (*added, misplaced)]
    found = [(each.kind, each.subject) for each in findings(hub, deep=False)]
    assert Counter(found) == Counter(expected)
    found = [(each.kind, each.subject) for each in findings(hub)]
    assert Counter(found) == Counter([*expected, ("changed", changed)])


@pytest.mark.usefixtures("acme")
def test_only_a_deep_check_reads_bytes_and_it_reads_each_blob_once(hub, calls):
    wrong = keys_of(hub)[0]
    put(hub, wrong, flipped(content(hub, wrong)))
    calls.clear()
    assert findings(hub, deep=False) == []
    assert calls == [("list",)]
    assert len(findings(hub, deep=True)) == 1
    opened = [key for name, *keys in calls if name == "open" for key in keys]
    # The one that is wrong is looked at again before it is told.
    assert Counter(opened) == Counter([*keys_of(hub), wrong])


@pytest.mark.backend
def test_many_blobs_cost_no_more_questions_than_few(hub, calls):
    fill(hub)

    def asked():
        # When a key was last used is written a little later.
        hub.registry.afterwards.settle()
        calls.clear()
        with statements(hub) as found:
            assert findings(hub, deep=False) == []
        assert calls == [("list",)]
        return len(found)

    asked()
    acme = hub.organisation()
    few = asked()
    for number in range(10):
        acme.publish("package", package_zip("package", text=str(number)))
    assert asked() == few


def row_of(db, slug, name):
    """Return one of the rows of an organisation, by the name that tests have for it."""
    mine = select(Organisation.id).where(Organisation.slug == slug).scalar_subquery()
    versions = select(Version).where(Version.organisation_id == mine)
    aliases = select(Alias).join(Package).where(Package.organisation_id == mine)
    publications = select(Publication).where(Publication.organisation_id == mine)
    published = publications.with_only_columns(Publication.id)
    live = Publication.id.in_(select(LivePage.publication_id))
    query = {
        "organisation": select(Organisation).where(Organisation.id == mine),
        "tombstone": versions.where(Version.number == 1).order_by(Version.id),
        "version": versions.where(Version.number == 2).order_by(Version.id),
        "stable": aliases.where(Alias.name == "stable"),
        "latest": aliases.where(Alias.name == "latest"),
        "retired": publications.where(Publication.retired_at.is_not(None)).order_by(Publication.id),
        "live": publications.where(live),
        "file": select(PublishedFile).where(PublishedFile.publication_id.in_(published)),
    }[name]
    return db.scalars(query).first()


PACKAGE, PAGE = "package:{}/package-0", "page:{}/docs/manual"


@pytest.mark.parametrize(
    ("row", "values", "subject", "text"),
    [
        ("version", {"digest": "b" * 64}, PACKAGE + " version 2", ""),
        ("version", {"blob_id": None}, PACKAGE + " version 2", ""),
        ("tombstone", None, PACKAGE, "has 2 versions"),
        ("stable", {"number": 17}, "packages_alias", ""),
        ("stable", {"number": 1}, PACKAGE, "`stable` points to a tombstone"),
        ("latest", {"number": 2}, PACKAGE, "`latest` is 2"),
        ("organisation", {"stored_bytes": 1}, "organisation:{}", "counts 1 bytes"),
        ("retired", None, "", "nothing refers to"),
        ("retired", {"size": 999_999}, PAGE, "another digest, size"),
        ("retired", {"digest": "c" * 64}, PAGE, "another digest, size"),
        ("retired", {"files": 99}, PAGE, "not as many"),
        ("retired", {"retired_at": None}, PAGE, "live and retired, or neither"),
        ("retired", {"number": 99}, PAGE, "higher than any"),
        ("live", {"retired_at": now()}, PAGE, "live and retired"),
        ("file", {"offset": 1_000_000}, PAGE, "lies beyond the end"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_rows_that_contradict_each_other_are_found(hub, acme, row, values, subject, text):
    with by_force(hub) as db:
        found = row_of(db, acme.slug, row)
        if values is None:
            if row == "retired":
                files = PublishedFile.publication_id == found.id
                db.execute(delete(PublishedFile).where(files))
            db.delete(found)
        else:
            if "blob_id" in values:
                doom(db, [found.blob_id], now())
            for name, value in values.items():
                setattr(found, name, value)
    (finding,) = findings(hub)
    assert finding.kind == "dangling"
    assert finding.subject.startswith(subject.format(acme.slug))
    assert text in finding.text


def test_a_blob_that_was_only_registered_is_missing(hub, acme):
    with hub.registry.database.write() as db:
        owner = row_of(db, acme.slug, "organisation")
        fresh = {"organisation_id": owner.id, "digest": "a" * 64, "size": 0, "created_at": now()}
        added = db.scalar(insert(Blob).values(**fresh).returning(Blob.id))
    assert Counter(each.kind for each in findings(hub)) == {"missing": 1, "dangling": 1}
    with hub.registry.database.write() as db:
        doom(db, [added], now())
    assert findings(hub) == [], "what is doomed may be gone already"


@pytest.mark.backend
def test_a_blob_row_that_is_gone_leaves_its_referrer_dangling(hub, acme):
    with by_force(hub) as db:
        blob = db.get(Blob, row_of(db, acme.slug, "version").blob_id)
        row_of(db, acme.slug, "organisation").stored_bytes -= blob.size
        db.execute(delete(Blob).where(Blob.id == blob.id))
    found = findings(hub)
    assert Counter(each.kind for each in found) == {"unknown": 1, "dangling": 1}
    assert "packages_version" in {each.subject for each in found}


@pytest.mark.backend
def test_what_is_doomed_is_no_finding_whether_its_bytes_are_there_or_not(hub, acme):
    with hub.registry.database.write() as db:
        version = row_of(db, acme.slug, "version")
        blob = db.get(Blob, version.blob_id)
        key = key_of(db.get(Organisation, blob.organisation_id).guid.hex, blob.digest)
        version.blob_id, version.tombstoned_at = None, now()
        row_of(db, acme.slug, "stable").number = 3
        doom(db, [blob.id], now())
    assert findings(hub) == []
    hub.registry.stores.main.delete(key)
    assert findings(hub) == []
    assert sweep(hub.registry.database, hub.registry.stores) == 1
    assert findings(hub) == []


def test_every_table_that_refers_to_blobs_is_asked():
    artifacts = {"artifacts_version"} if HAS_ARTIFACTS else set()
    expected = {"packages_version", "pages_publication", *artifacts}
    assert {column.table.name for column in references()} == expected


@pytest.mark.backend
@pytest.mark.long
def test_a_hub_that_is_working_hard_raises_no_alarm(hub):
    """Publishes, tombstones, swaps, uploads and collections all the time, and checks as fast as they can be."""
    acme, beta = fill(hub)
    writers = filled.busy_writers(acme, acme, beta)
    with working(*writers, filled.busy_publisher(beta), filled.busy_collector(hub)):
        alarms = [findings(hub, deep=number % 2 == 0) for number in range(4)]
    assert [finding for found in alarms for finding in found] == []
    assert findings(hub) == []
