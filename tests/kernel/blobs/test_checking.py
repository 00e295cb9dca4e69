"""A check finds every fault and nothing else, also while the hub is writing."""

import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from hubrepo.features.packages.models import Alias, Version
from hubrepo.features.pages.models import LivePage, Publication, PublishedFile
from hubrepo.kernel.accounts import ApiKey, Organisation
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, doom, key_of, named_by, sweep
from hubrepo.kernel.blobs.models import references
from tests.support.archives import package_zip
from tests.support.contract import statements
from tests.support.features import HAS_ARTIFACTS
from tests.support.filled import (
    EVERY_PLACE,
    busy_collector,
    busy_publisher,
    busy_writers,
    by_force,
    content,
    fill,
    findings,
    keys_of,
    make_hub,
    put,
    working,
)

NOBODY = "f" * 32


@pytest.fixture(params=EVERY_PLACE)
def place(request):
    return request.param


@pytest.fixture
def hub(request, place, tmp_path):
    return make_hub(request, tmp_path, *place)


@pytest.fixture
def acme(hub):
    return fill(hub)[0]


def subjects(found):
    return Counter((finding.kind, finding.subject) for finding in found)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class TestBytes:
    """What can happen to bytes. A fault returns what is to be found."""

    @staticmethod
    def remove(hub, key, _rng):
        hub.registry.stores.main.delete(key)
        return {("missing", key)}

    @staticmethod
    def truncate(hub, key, rng):
        whole = content(hub, key)
        put(hub, key, whole[: rng.randrange(len(whole))])
        return {("truncated", key)}

    @staticmethod
    def append(hub, key, rng):
        put(hub, key, content(hub, key) + rng.randbytes(rng.randint(1, 2000)))
        return {("changed", key)}

    @staticmethod
    def flip(hub, key, rng):
        whole = content(hub, key)
        put(hub, key, flipped(whole, rng.randrange(len(whole))))
        return {("changed", key)}

    @staticmethod
    def add(hub, key, rng):
        added = key_of(named_by(key)[0], rng.randbytes(32).hex())
        put(hub, added, b"added")
        return {("unknown", added)}

    @staticmethod
    def add_for_nobody(hub, _key, rng):
        added = key_of(NOBODY, rng.randbytes(32).hex())
        put(hub, added, b"added")
        return {("unknown", added)}

    @staticmethod
    def add_strange(hub, key, rng):
        added = f"{key.partition('/')[0]}/{rng.randbytes(8).hex()}.tmp"
        put(hub, added, b"added")
        return {("unknown", added)}

    @staticmethod
    def misplace(hub, key, _rng):
        misplaced = key_of(NOBODY, named_by(key)[1])
        put(hub, misplaced, content(hub, key))
        hub.registry.stores.main.delete(key)
        return {("missing", key), ("unknown", misplaced)}

    FAULTS = (remove, truncate, append, flip, add, add_for_nobody, add_strange, misplace)

    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
    @pytest.mark.usefixtures("acme")
    def test_each_is_found_and_nothing_else(self, hub, fault):
        expected = fault(hub, keys_of(hub)[3], random.Random(4))
        assert subjects(findings(hub)) == Counter(expected)

    def test_random_faults_are_all_found_and_nothing_else(self, hub):
        clients = fill(hub, organisations=3, packages=4, versions=9)
        rng = random.Random(20261121)
        # Of no bytes at all none can be lost or changed.
        keys = [key for key in keys_of(hub) if content(hub, key)]
        assert len(keys) > 100
        expected = set()
        for key in rng.sample(keys, 70):
            expected |= rng.choice(self.FAULTS)(hub, key, rng)
        assert subjects(findings(hub)) == Counter(expected)
        assert clients

    @pytest.mark.usefixtures("acme")
    def test_only_a_deep_check_reads_bytes_and_it_reads_each_blob_once(self, hub, monkeypatch):
        TestBytes.flip(hub, keys_of(hub)[0], random.Random(1))
        opened = []
        main = hub.registry.stores.main
        real = type(main).open

        def counted(self, key, *rest):
            opened.append(key)
            return real(self, key, *rest)

        monkeypatch.setattr(type(main), "open", counted)
        assert findings(hub, deep=False) == []
        assert opened == []
        assert len(findings(hub, deep=True)) == 1
        # The one that is wrong is looked at again before it is told.
        assert Counter(opened) == Counter(keys_of(hub)) + Counter([keys_of(hub)[0]])

    def test_many_blobs_cost_no_more_questions_than_few(self, hub, monkeypatch):
        fill(hub)
        calls = []
        main = hub.registry.stores.main
        for name in ("open", "stat", "list"):
            real = getattr(type(main), name)

            def counted(self, *rest, _real=real, _name=name):
                # A disk asks itself again for each of its folders.
                if _name != "list" or not rest:
                    calls.append(_name)
                return _real(self, *rest)

            monkeypatch.setattr(type(main), name, counted)

        def asked():
            # When a key was last used is written a little later.
            hub.registry.afterwards.settle()
            calls.clear()
            with statements(hub) as found:
                assert findings(hub, deep=False) == []
            return len(found), list(calls)

        few = asked()
        acme = hub.organisation()
        many = asked()
        for number in range(30):
            acme.publish("package", package_zip("package", text=str(number)))
        assert asked()[0] == many[0]
        assert few[1] == many[1] == asked()[1] == ["list"]

    @pytest.mark.usefixtures("acme")
    def test_a_folder_in_the_place_of_a_blob_is_no_blob(self, hub, place):
        if place[0] != "disk":
            pytest.skip("only a disk has folders")
        key = keys_of(hub)[0]
        place = Path(hub.registry.stores.main._root) / key
        place.unlink()
        place.mkdir()
        assert [finding.subject for finding in findings(hub)] == [key]


class TestRows:
    """What can happen to rows, wherever the bytes are."""

    @pytest.fixture
    def store(self):
        return "memory"

    @staticmethod
    def _version(db, acme, number=2):
        mine = select(Organisation.id).where(Organisation.slug == acme.slug).scalar_subquery()
        return db.scalars(
            select(Version)
            .where(Version.organisation_id == mine, Version.number == number)
            .order_by(Version.id)
        ).first()

    def test_a_blob_that_was_only_registered_is_missing(self, hub, acme):
        with hub.registry.database.write() as db:
            version = self._version(db, acme)
            guid = db.get(Organisation, version.organisation_id).guid.hex
            fresh = {"organisation_id": version.organisation_id, "digest": "a" * 64, "size": 0}
            added = db.execute(
                insert(Blob).values(**fresh, created_at=now()).returning(Blob.id)
            ).scalar()
            db.execute(update(ApiKey).values(label="unrelated"))
        kinds = Counter(finding.kind for finding in findings(hub))
        assert kinds == {"missing": 1, "dangling": 1}
        with hub.registry.database.write() as db:
            doom(db, [added], now())
        assert findings(hub) == [], "what is doomed may be gone already"
        assert key_of(guid, "a" * 64) not in keys_of(hub)

    def test_a_blob_row_that_is_gone_leaves_its_referrer_dangling(self, hub, acme):
        with by_force(hub) as db:
            version = self._version(db, acme)
            size = db.get(Blob, version.blob_id).size
            db.execute(delete(Blob).where(Blob.id == version.blob_id))
            db.execute(
                update(Organisation)
                .where(Organisation.id == version.organisation_id)
                .values(stored_bytes=Organisation.stored_bytes - size)
            )
        found = findings(hub)
        assert Counter(each.kind for each in found) == {"unknown": 1, "dangling": 1}
        assert "packages_version" in {each.subject for each in found}

    def test_a_live_version_without_a_blob_is_found(self, hub, acme):
        with hub.registry.database.write() as db:
            version = self._version(db, acme)
            doom(db, [version.blob_id], now())
            version.blob_id = None
        (found,) = findings(hub)
        assert found.subject == f"package:{acme.slug}/package-0 version 2"

    def test_a_wrong_digest_is_found(self, hub, acme):
        with hub.registry.database.write() as db:
            self._version(db, acme).digest = "b" * 64
        (found,) = findings(hub)
        assert found.subject == f"package:{acme.slug}/package-0 version 2"

    def test_a_gap_in_the_numbers_is_found(self, hub, acme):
        with by_force(hub) as db:
            version = self._version(db, acme, number=1)
            assert version.blob_id is None
            db.execute(delete(Version).where(Version.id == version.id))
        (found,) = findings(hub)
        assert found.subject == f"package:{acme.slug}/package-0"
        assert "has 2 versions" in found.text

    @pytest.mark.usefixtures("acme")
    def test_an_alias_that_leads_nowhere_is_found(self, hub):
        with by_force(hub) as db:
            db.execute(
                update(Alias)
                .where(Alias.name == "stable", Alias.id == select(Alias.id).where(
                    Alias.name == "stable").order_by(Alias.id).limit(1).scalar_subquery())
                .values(number=17)
            )  # fmt: skip
        (found,) = findings(hub)
        assert found.subject == "packages_alias"

    def test_an_alias_to_a_tombstone_is_found(self, hub, acme):
        with hub.registry.database.write() as db:
            first = db.scalars(select(Alias).where(Alias.name == "stable")).first()
            first.number = 1
        (found,) = findings(hub)
        assert (found.subject, found.text) == (
            f"package:{acme.slug}/package-0",
            "`stable` points to a tombstone",
        )

    @pytest.mark.usefixtures("acme")
    def test_a_latest_that_is_not_the_newest_is_found(self, hub):
        with hub.registry.database.write() as db:
            db.scalars(select(Alias).where(Alias.name == "latest")).first().number = 2
        (found,) = findings(hub)
        assert "`latest` is 2" in found.text

    def test_bytes_that_are_counted_wrong_are_found(self, hub, acme):
        with hub.registry.database.write() as db:
            db.execute(
                update(Organisation)
                .where(Organisation.slug == acme.slug)
                .values(stored_bytes=Organisation.stored_bytes + 1)
            )
        (found,) = findings(hub)
        assert found.subject == f"organisation:{acme.slug}"

    @pytest.mark.usefixtures("acme")
    def test_a_blob_that_nothing_refers_to_is_found(self, hub):
        with hub.registry.database.write() as db:
            publication = db.scalars(
                select(Publication).where(Publication.retired_at.is_not(None))
            ).first()
            files = PublishedFile.publication_id == publication.id
            db.execute(delete(PublishedFile).where(files))
            db.delete(publication)
        (found,) = findings(hub)
        assert (found.kind, "nothing refers to" in found.text) == ("dangling", True)

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda p: {"size": p.size - 1}, "another digest, size"),
            (lambda _: {"digest": "c" * 64}, "another digest, size"),
            (lambda p: {"files": p.files + 1}, "not as many"),
            (lambda _: {"retired_at": None}, "live and retired, or neither"),
            (lambda _: {"number": 99}, "higher than any"),
        ],
    )
    def test_a_publication_that_contradicts_itself_is_found(self, hub, acme, change, text):
        with hub.registry.database.write() as db:
            which = select(Publication).where(Publication.retired_at.is_not(None))
            publication = db.scalars(which.order_by(Publication.id)).first()
            for name, value in change(publication).items():
                setattr(publication, name, value)
        (found,) = findings(hub)
        assert text in found.text
        assert found.subject.startswith(f"page:{acme.slug}/")

    @pytest.mark.usefixtures("acme")
    def test_files_beyond_their_archive_are_found(self, hub):
        with hub.registry.database.write() as db:
            which = db.scalars(select(PublishedFile)).first()
            which.offset += 1_000_000
        (found,) = findings(hub)
        assert "lies beyond the end" in found.text

    @pytest.mark.usefixtures("acme")
    def test_a_live_page_of_a_retired_publication_is_found(self, hub):
        with hub.registry.database.write() as db:
            live = db.scalars(select(LivePage)).first()
            db.get(Publication, live.publication_id).retired_at = now()
        (found,) = findings(hub)
        assert "live and retired" in found.text

    def test_what_is_doomed_is_no_finding_whether_its_bytes_are_there_or_not(self, hub, acme):
        with hub.registry.database.write() as db:
            version = self._version(db, acme)
            blob = db.get(Blob, version.blob_id)
            guid, digest = db.get(Organisation, blob.organisation_id).guid.hex, blob.digest
            version.blob_id, version.tombstoned_at = None, now()
            db.execute(
                update(Alias)
                .where(Alias.package_id == version.package_id, Alias.name == "stable")
                .values(number=3)
            )
            doom(db, [blob.id], now())
        assert findings(hub) == []
        hub.registry.stores.main.delete(key_of(guid, digest))
        assert findings(hub) == []
        assert sweep(hub.registry.database, hub.registry.stores) == 1
        assert findings(hub) == []


def test_every_table_that_refers_to_blobs_is_asked():
    artifacts = {"artifacts_version"} if HAS_ARTIFACTS else set()
    assert {column.table.name for column in references()} == {
        "packages_version",
        "pages_publication",
        *artifacts,
    }


def test_a_hub_that_is_working_hard_raises_no_alarm(hub):
    """Publishes, tombstones, swaps, uploads and collections all the time, and checks as fast as they can be."""
    acme, beta = fill(hub)
    writers = busy_writers(acme, acme, beta)
    with working(*writers, busy_publisher(beta), busy_collector(hub)):
        alarms = [findings(hub, deep=number % 2 == 0) for number in range(12)]
    assert [finding for found in alarms for finding in found] == []
    assert findings(hub) == []
