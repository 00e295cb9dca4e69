"""What a swap changes, what is kept of what was, and what it costs, whatever there is besides."""

import io
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import uuid4

import pytest
import transaction
from sqlalchemy import event, func, select, update
from zope.sqlalchemy import register

from hubrepo.features.pages import services
from hubrepo.features.pages.addresses import led_to, visited
from hubrepo.features.pages.bundles import Bundle
from hubrepo.features.pages.catalogue import Catalogue
from hubrepo.features.pages.errors import NotPublished, PathOverlaps
from hubrepo.features.pages.models import LivePage, Page, Publication, PublishedFile
from hubrepo.features.pages.schemas import PublishWish
from hubrepo.features.pages.services import PageService, forget_old
from hubrepo.features.pages.settings import PageSettings
from hubrepo.kernel.accounts import Organisation, OrganisationRef, QuotaExceeded
from hubrepo.kernel.archives import ArchiveLimits
from hubrepo.kernel.audit import Actor, AuditLog
from hubrepo.kernel.base import Page as ListingPage
from hubrepo.kernel.base import now
from hubrepo.kernel.blobs import Blob, BlobMissing, BlobService, Stores, sweep
from hubrepo.kernel.blobs.stores import MemoryStore
from hubrepo.kernel.db import Base, Rows
from tests.support.archives import make_zip
from tests.support.hub import Hub

pytestmark = pytest.mark.backend

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
EVERYTHING = ListingPage(None, None)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    hub = Hub.below(tmp_path_factory.mktemp("pages"))
    yield hub.registry.database
    hub.registry.database.close()


@cache
def zipped(members):
    """An archive: of the same members the same bytes, though archives tell the time."""
    return make_zip(dict(members))


def new_organisation(database):
    guid = uuid4()
    with database.write() as db:
        row = Organisation(guid=guid, name=guid.hex, slug=guid.hex[:20], created_at=NOW)
        db.add(row)
        db.flush()
        return OrganisationRef(row.id, guid.hex, row.slug, None)


class Acme:
    """An organisation whose clock stands still until it is told to go on."""

    def __init__(self, database, store, **settings):
        self.database, self.store, self.organisation = database, store, new_organisation(database)
        self.now, self.settings, self.max_pages = NOW, PageSettings(**settings), 0

    @contextmanager
    def service(self):
        """One transaction, as a request has it."""
        manager = transaction.TransactionManager(explicit=True)
        manager.begin()
        db = self.database.writing()
        register(db, transaction_manager=manager)
        blobs = BlobService(
            self.database, db, Stores(self.store), self.organisation, manager, self.now
        )
        audit = AuditLog(db, Actor("key:kpf_test", self.organisation.id), self.now)
        try:
            yield PageService(
                db, self.organisation, blobs, audit, self.now, self.settings, self.max_pages
            )
        except BaseException:
            manager.abort()
            raise
        manager.commit()

    def publish(self, path, content="", files=None):
        data = zipped(tuple((files or {"index.html": content}).items()))
        bundle = Bundle(io.BytesIO(data), ArchiveLimits(), PublishWish(path, None))
        stage = self.store.stage()
        stage.write(data)
        with self.service() as service:
            return service.publish(bundle, stage, "ann")

    def roll_back(self, path, number):
        with self.service() as service:
            return service.roll_back(path, number)

    def unpublish(self, path, reason=""):
        with self.service() as service:
            service.unpublish(path, reason)

    @contextmanager
    def catalogue(self):
        with self.database.engine.connect() as connection:
            yield Catalogue(Rows(connection), self.organisation)

    def kept(self, path):
        """The numbers of the publications that are kept, newest first; the live one is negative."""
        with self.catalogue() as catalogue:
            found = catalogue.publications(path, EVERYTHING)
        return [-each.number if each.is_live else each.number for each in found]

    def listed(self):
        with self.catalogue() as catalogue:
            return [each.path for each in catalogue.pages(EVERYTHING)]

    def visit(self, path, file="index.html"):
        with self.database.engine.connect() as connection:
            return visited(Rows(connection), self.organisation.slug, f"{path}/{file}")

    def blobs(self):
        with self.database.read() as db:
            own = Blob.organisation_id == self.organisation.id
            return set(db.scalars(select(Blob.digest).where(own)))

    def rows(self, model):
        """All rows of a table, by primary key."""
        table = model.__table__
        with self.database.engine.connect() as connection:
            found = connection.execute(select(table)).mappings()
            return {tuple(row[key.name] for key in table.primary_key): dict(row) for row in found}


@pytest.fixture
def acme(database):
    return Acme(database, MemoryStore())


@pytest.fixture
def make(database):
    return lambda **settings: Acme(database, MemoryStore(), **settings)


@contextmanager
def statements(database):
    """The SQL that is run meanwhile, with its values."""
    seen = []

    def note(_connection, _cursor, statement, values, _context, many):
        seen.append((statement, values[0] if many else values))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


# --- swap

CHANGES = {
    "publish": lambda acme: acme.publish("site", "new"),
    "roll back": lambda acme: acme.roll_back("site", 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_swap_changes_one_row_of_what_is_live_and_nothing_that_readers_see(acme, change):
    acme.publish("other", "other")
    acme.publish("site", "one")
    acme.now += DAY
    acme.publish("site", "two")
    before = {model: acme.rows(model) for model in (LivePage, Publication, PublishedFile, Page)}
    acme.now += DAY
    CHANGES[change](acme)
    after = {model: acme.rows(model) for model in before}
    changed = {
        model: [
            {name for name in row if row[name] != after[model][key][name]}
            for key, row in rows.items()
            if row != after[model][key]
        ]
        for model, rows in before.items()
    }
    assert changed[LivePage] == [{"publication_id", "published_at", "changed_at"}]
    assert len(after[LivePage]) == len(before[LivePage])
    # Of publications only the note when they were retired, which no reader is shown.
    assert {frozenset(each) for each in changed[Publication]} == {frozenset({"retired_at"})}
    assert changed[PublishedFile] == []
    assert len(changed[Page]) == 1
    assert changed[Page][0] <= {"head", "changed_at"}


def test_rolling_back_and_unpublishing_cost_the_same_however_many_files_there_are(acme):
    def cost(files):
        path = f"site-{files}"
        for content in "ab":
            acme.publish(path, files={f"{n}.txt": content for n in range(files)})
        with statements(acme.database) as seen:
            acme.roll_back(path, 1)
            acme.unpublish(path)
        assert not [each for each, _ in seen if "pages_file" in each]
        return len(seen)

    assert cost(1) == cost(200)


def test_the_moment_of_change_is_later_each_time_though_the_clock_stands_still(acme):
    moments = []

    def note():
        moments.append(next(row for row in acme.rows(Page).values() if row["path"] == path))

    path = f"clock-{uuid4().hex}"
    acts = [
        lambda: acme.publish(path, "1"),
        lambda: acme.publish(path, "2"),
        lambda: acme.roll_back(path, 1),
        lambda: acme.unpublish(path),
        lambda: acme.publish(path, "3"),
        lambda: acme.unpublish(path),
        lambda: acme.roll_back(path, 2),
    ]
    for act in acts:
        act()
        note()
        found = acme.visit(path)
        assert found is None or found.changed_at == moments[-1]["changed_at"]
    acme.now -= DAY
    acme.publish(path, "4")
    note()
    acme.now += 2 * DAY
    acme.publish(path, "5")
    note()
    changed = [each["changed_at"] for each in moments]
    assert changed == sorted(set(changed))
    assert all(each.microsecond == 0 for each in changed)
    assert changed[0] == NOW.replace(microsecond=0)
    assert changed[-1] == acme.now.replace(microsecond=0)


# --- forgetting


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_so_many_past_publications_are_kept_and_the_oldest_go(make, keep):
    acme = make(keep_publications=keep)
    for number in range(1, 7):
        acme.now += SECOND
        acme.publish("site", str(number))
    assert acme.kept("site") == [-6, *range(5, 5 - keep, -1)]
    assert len(acme.blobs()) == len(list(acme.store.list())) == keep + 1
    files = [key[0] for key in acme.rows(PublishedFile)]
    assert set(files) <= {key[0] for key in acme.rows(Publication)}


def test_what_was_live_last_is_kept_longest(make):
    acme = make(keep_publications=2)
    for number in range(1, 4):
        acme.now += SECOND
        acme.publish("site", str(number))
    acme.now += SECOND
    acme.roll_back("site", 1)
    acme.now += SECOND
    acme.publish("site", "4")
    assert acme.kept("site") == [-4, 3, 1]


def test_a_lower_limit_is_reached_by_and_by(make, monkeypatch):
    monkeypatch.setattr(services, "FORGET_AT_ONCE", 3)
    acme = make(keep_publications=9)
    for number in range(1, 7):
        acme.now += SECOND
        acme.publish("site", str(number))
    acme.settings = PageSettings(keep_publications=1)
    for kept in (4, 2, 2):
        acme.now += SECOND
        acme.publish("site", "another")
        assert len(acme.kept("site")) == kept
    assert acme.kept("site") == [-9, 8]


def test_what_was_retired_long_ago_goes_wherever_it_is(make):
    acme = make(keep_days=30)
    for path in ("a", "b"):
        acme.publish(path, "one")
        acme.publish(path, "two")
    acme.publish("down", "one")
    acme.unpublish("down")
    acme.now += 30 * DAY
    acme.publish("c", "one")
    assert (acme.kept("a"), acme.kept("b"), acme.kept("down")) == ([-2, 1], [-2, 1], [1])
    acme.now += SECOND
    acme.publish("c", "two")
    assert (acme.kept("a"), acme.kept("b"), acme.kept("c")) == ([-2], [-2], [-2, 1])
    with pytest.raises(NotPublished):
        acme.kept("down")
    assert acme.publish("down", "again").number == 2


def test_what_is_live_again_is_kept_however_long_ago_it_was_retired(make):
    acme = make(keep_days=30)
    acme.publish("site", "one")
    acme.publish("site", "two")
    acme.roll_back("site", 1)
    acme.now += 99 * DAY
    acme.publish("other", "one")
    forget_old(acme.settings, acme.database, acme.now)
    assert acme.kept("site") == [-1]
    assert acme.visit("site").files.keys() == {"index.html"}


def test_without_a_limit_of_days_nothing_is_too_old(make):
    acme = make(keep_days=0)
    for content in ("one", "two"):
        acme.publish("a", content)
    assert forget_old(acme.settings, acme.database, acme.now + 9999 * DAY) == 0
    assert acme.kept("a") == [-2, 1]


def test_a_publish_forgets_nothing_of_another_organisation(make):
    acme, other = make(keep_days=30), make(keep_days=30)
    other.publish("site", "one")
    other.publish("site", "two")
    acme.now += 99 * DAY
    acme.publish("site", "one")
    assert other.kept("site") == [-2, 1]


def test_old_publications_are_forgotten_without_anybody_publishing(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "FORGET_AT_ONCE", 3)
    database, store = Hub.below(tmp_path).registry.database, MemoryStore()
    acme = Acme(database, store, keep_days=30, keep_publications=99)
    other = Acme(database, store, keep_days=30)
    for number in range(8):
        acme.publish("site", str(number))
    other.publish("site", "one")
    other.unpublish("site")
    later = NOW + 31 * DAY
    assert forget_old(acme.settings, database, NOW + 30 * DAY) == 0
    assert forget_old(acme.settings, database, later) == 8
    assert forget_old(acme.settings, database, later) == 0
    assert acme.kept("site") == [-8]
    assert (len(acme.blobs()), len(other.blobs())) == (8, 1)
    assert sweep(database, Stores(store)) == 8
    assert (len(acme.blobs()), len(other.blobs())) == (1, 0)
    database.close()


def test_the_same_bytes_at_two_pages_are_one_blob_which_stays_while_either_needs_it(make):
    acme = make(keep_publications=0)
    acme.publish("a", "same")
    acme.publish("b", "same")
    (shared,) = acme.blobs()
    acme.publish("a", "other")
    assert (shared in acme.blobs(), len(acme.blobs())) == (True, 2)
    assert len(list(acme.store.list())) == 2
    assert sweep(acme.database, Stores(acme.store)) == 0
    acme.publish("b", "other")
    assert shared not in acme.blobs()
    assert len(acme.blobs()) == len(list(acme.store.list())) == 1


# --- limits


def test_so_many_pages_may_be_live(acme):
    acme.max_pages = 2
    acme.publish("a")
    acme.publish("b")
    with pytest.raises(QuotaExceeded, match=r"may have 2 pages \(hubrepo.quotas.max_pages\)"):
        acme.publish("c")
    acme.publish("b", "again")
    acme.unpublish("a")
    acme.publish("c")
    with pytest.raises(QuotaExceeded):
        acme.roll_back("a", 1)
    assert set(acme.listed()) == {"b", "c"}


def test_an_organisation_s_own_limit_goes_before_that_of_the_hub(acme):
    acme.max_pages = 1
    own = update(Organisation).where(Organisation.id == acme.organisation.id)
    acme.publish("a")
    for limit in (1, 2, 0):
        with acme.database.write() as db:
            db.execute(own.values(max_pages=limit))
        if limit == 1:
            with pytest.raises(QuotaExceeded):
                acme.publish("b")
        else:
            acme.publish(f"with-{limit}")


# --- overlap


# In code point order: - . / 0 _ a: what is not below `ov` lies on both sides of what is.
BELOW = ["ov/-", "ov/..x", "ov/0", "ov/_", "ov/z", "ov/z/z/z/z/z/z/z"]
BESIDE = ["ov-/y", "ov-x", "ov./y", "ov.x", "ov0/y", "ov_x", "ovx", "o"]


def test_pages_overlap_by_whole_segments(acme):
    for path in ("ov", *BESIDE):
        acme.publish(path)
    acme.unpublish("ov")
    acme.publish("ov")
    acme.unpublish("ov")
    pairs = [("ov", below) for below in BELOW]
    pairs += [(f"n{'/n' * depth}", f"n{'/n' * 7}") for depth in (1, 6)]
    for above, below in pairs:
        for live, path in ((above, below), (below, above)):
            acme.publish(live)
            with pytest.raises(PathOverlaps, match=f"path overlaps published page '{live}'"):
                acme.publish(path)
            acme.unpublish(live)
    assert set(acme.listed()) == set(BESIDE)


def test_if_several_pages_overlap_one_of_them_is_named(acme):
    for path in ("a/b/1", "a/b/2", "a/c"):
        acme.publish(path)
    with pytest.raises(PathOverlaps, match=r"path overlaps published page 'a/(b/1|b/2|c)'"):
        acme.publish("a")


def test_overlaps_are_found_in_a_bounded_number_of_statements(acme):
    for number in range(9):
        acme.publish(f"a/b/c/d/e/f/g/n{number}")
    for path, overlapping, count in (("a", "a/b/c/d/e/f/g/n", 1), ("z/a/b/c", "", 2)):
        with statements(acme.database) as seen, acme.catalogue() as catalogue:
            assert (catalogue.overlapping(path) or "").startswith(overlapping)
        assert len(seen) == count


# --- plans


def refused(acme):
    with pytest.raises(PathOverlaps):
        acme.publish("site/below")


READS = {
    "visit": lambda acme: acme.visit("site"),
    "listing": lambda acme: acme.listed(),
    "publications": lambda acme: acme.kept("site"),
    "rolling back": lambda acme: acme.roll_back("site", 1),
    "unpublishing": lambda acme: acme.unpublish("site"),
    "publishing anew": lambda acme: acme.publish("fresh/path", "x"),
    "publishing again and forgetting": lambda acme: acme.publish("site", "x"),
    "refusing an overlap": refused,
}


def plan_of(database, statement, values):
    """The steps in which the database answers a statement, if it is at all possible by indexes."""
    if database.engine.dialect.name == "sqlite":
        with database.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
        return [row[-1] for row in rows]
    with database.engine.connect() as connection:
        # Tables of a few rows are read as a whole, and sorted, unless that is made dear.
        for each in ("seqscan", "sort", "bitmapscan", "incremental_sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{each} = off")
        rows = connection.exec_driver_sql(f"EXPLAIN {statement}", values).all()
    return [row[0].strip(" ->") for row in rows]


def reads_all(step):
    """Whether a step of a plan reads a whole table."""
    return (step.startswith("SCAN") and "CONSTANT" not in step) or step.startswith("Seq Scan")


@pytest.mark.parametrize("act", READS)
def test_nothing_reads_a_whole_table(make, act):
    acme = make(keep_publications=1, keep_days=1)
    for content in "ab":
        acme.publish("site", content)
    with statements(acme.database) as seen:
        READS[act](acme)
    plans = {
        statement: plan_of(acme.database, statement, values)
        for statement, values in seen
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"))
    }
    assert plans
    whole = {
        statement: steps
        for statement, steps in plans.items()
        if any(reads_all(step) for step in steps)
    }
    assert whole == {}


def test_the_listing_and_the_publications_come_sorted_from_the_index(acme):
    acme.publish("site", "a")
    with statements(acme.database) as seen, acme.catalogue() as catalogue:
        catalogue.pages(EVERYTHING)
        if acme.database.engine.dialect.name == "sqlite":
            # PostgreSQL sorts those of the page, which are few: it cannot know that the page is one.
            catalogue.publications("site", EVERYTHING)
    for statement, values in seen:
        assert not [
            step
            for step in plan_of(acme.database, statement, values)
            if "SORT" in step.upper() or "ORDER BY" in step
        ]


def test_to_remove_a_row_no_other_table_is_read_for_references():
    """SQLite looks at every table that may refer to a row that goes: each by an index of its own."""
    models = (Publication, PublishedFile, LivePage, Blob)
    for table in Base.metadata.tables.values():
        leading = {next(iter(index.columns)).name for index in table.indexes}
        for constraint in table.constraints:
            if constraint.__visit_name__ in {"unique_constraint", "primary_key_constraint"}:
                leading |= {column.name for column in list(constraint.columns)[:1]}
        for key in table.foreign_keys:
            if key.column.table in {model.__table__ for model in models}:
                assert key.parent.name in leading, f"{table.name}.{key.parent.name}"


# --- where nothing is kept


def test_where_nothing_is_kept_a_page_that_is_taken_down_is_gone_at_once(make):
    acme = make(keep_publications=0)
    acme.publish("site", "one")
    acme.unpublish("site", "over")
    with acme.database.read() as db:
        own = Publication.organisation_id == acme.organisation.id
        assert db.scalar(select(func.count()).select_from(Publication).where(own)) == 0
    assert acme.publish("site", "two").number == 2


def test_where_a_rule_leads_in_a_publication_that_was_forgotten_meanwhile_is_asked_again(make):
    acme = make(keep_publications=0)
    acme.publish("site", files={"app.html": "one", "_redirects": "/* /app.html 200"})
    before = acme.visit("site", "somewhere")
    with acme.database.engine.connect() as connection:
        assert led_to(Rows(connection), before, "/app.html").path == "app.html"
        assert led_to(Rows(connection), before, "/nothing.html") is None
    acme.publish("site", files={"app.html": "two"})
    with acme.database.engine.connect() as connection, pytest.raises(BlobMissing):
        led_to(Rows(connection), before, "/app.html")


def test_what_an_unpublish_leaves_beyond_what_is_kept_goes_with_time(make):
    acme, beta = make(keep_publications=2), make(keep_publications=2)
    for one in (acme, beta):
        for text in "abc":
            one.publish("site", text)
        one.unpublish("site", "over")
        assert one.kept("site") == [3, 2, 1]
    assert forget_old(PageSettings(keep_publications=2), acme.database, now()) >= 2
    assert (acme.kept("site"), beta.kept("site")) == ([3, 2], [3, 2])
    acme.roll_back("site", 2)
    assert forget_old(PageSettings(keep_publications=1), acme.database, now()) >= 1
    assert (acme.kept("site"), beta.kept("site")) == ([3, -2], [3])
