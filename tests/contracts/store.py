"""The contract of a store. A store proves itself by inheriting: `class TestDisk(StoreContract)`."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from hubrepo.kernel.blobs import BlobMissing, Stage, Store

KEY = "0123456789abcdef0123456789abcdef/ab/" + "c" * 62
OTHER = "0123456789abcdef0123456789abcdef/ab/" + "d" * 62
STRANGE = "fedcba9876543210fedcba9876543210/ab/" + "c" * 62
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


def staged(store: Store, content: bytes) -> Stage:
    stage = store.stage()
    stage.write(content)
    return stage


def put(store: Store, key: str, content: bytes) -> None:
    store.promote(staged(store, content), key)


def content_of(store: Store, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


class StoreContract:
    """The promises of every store. A subclass has a fixture `store`, which is empty."""

    def leave_behind(self, store: Store) -> Callable[[], object]:
        """Leave in the store what a process leaves that dies while it puts a blob; return how to forget it."""
        stage = staged(store, b"left behind")
        stage.sync()
        return stage.discard

    @pytest.fixture(autouse=True)
    def nothing_is_left_over(self, store: Store):
        yield
        assert store.sweep_stages(FUTURE) == 0, "a test left a stage behind"

    def test_a_promoted_blob_is_there_and_promoting_again_mends_it(self, store):
        put(store, KEY, b"damaged")
        before = store.stat(KEY)
        for _ in range(2):
            stage = staged(store, b"content and more")
            store.promote(stage, KEY)
            stage.discard()
            assert content_of(store, KEY) == b"content and more"
        stored = store.stat(KEY)
        assert (before.size, stored.key, stored.size) == (7, KEY, 16)
        assert stored.modified >= before.modified
        assert abs(datetime.now(UTC) - stored.modified) < timedelta(minutes=5)

    def test_a_stage_counts_hashes_and_can_be_read_and_written_on(self, store):
        stage, content = store.stage(), b"a" * 70_000 + b"b"
        for piece in (b"a" * 70_000, b"", b"b"):
            stage.write(piece)
        assert (stage.size, stage.digest) == (70_001, hashlib.sha256(content).hexdigest())
        with stage.reader() as file:
            assert (file.seek(69_999), file.read(1), file.seek(-2, 2)) == (69_999, b"a", 69_999)
            assert file.read() == b"ab"
        stage.sync()
        stage.write(b"more")
        store.promote(stage, KEY)
        assert content_of(store, KEY) == content + b"more"

    def test_a_stage_is_visible_to_nobody_and_a_discarded_one_leaves_nothing(self, store):
        stage = staged(store, b"content")
        assert list(store.list()) == []
        stage.discard()
        stage.discard()
        assert list(store.list()) == []

    def test_a_missing_blob_is_an_error_and_deleting_it_is_none_and_no_bytes_are_bytes(self, store):
        put(store, KEY, b"")
        assert (content_of(store, KEY), store.stat(KEY).size) == (b"", 0)
        for _ in range(2):
            store.delete(KEY)
            for look in (store.open, store.stat):
                with pytest.raises(BlobMissing):
                    look(KEY)

    def test_bytes_are_read_from_where_one_asks(self, store):
        """WSGI servers ask how much there is by seeking to the end."""
        put(store, KEY, b"0123456789")
        for start, length in ((0, 4), (3, 4), (8, 2), (10, 0)):
            with store.open(KEY, start, length) as file:
                assert file.read(length) == b"0123456789"[start : start + length]
        for start in (2, 10):
            with store.open(KEY, start) as file:
                assert (file.tell(), file.seek(0, 2), file.read()) == (start, 10, b"")

    def test_a_file_that_is_being_read_survives_its_deletion(self, store):
        put(store, KEY, b"content" * 100_000)
        with store.open(KEY) as file:
            head = file.read(7)
            store.delete(KEY)
            assert head + file.read() == b"content" * 100_000

    def test_the_list_is_complete_ordered_and_can_be_narrowed_to_an_organisation(self, store):
        """It is compared with a table, and both are read as they come."""
        more = (f"{KEY[:33]}ac/{'0' * 62}", f"{KEY[:33]}ab-c", f"{KEY[:33]}ab0")
        keys = [STRANGE, KEY, OTHER, *more]
        for key in keys:
            put(store, key, key.encode())
        assert [stored.key for stored in store.list()] == sorted(keys)
        assert [stored.key for stored in store.list(STRANGE.partition("/")[0])] == [STRANGE]
        assert list(store.list("nobody")) == []

    def test_a_file_can_be_read_anywhere_and_back_as_servers_do(self, store):
        """Waitress reads a piece, and goes back to where the socket stopped taking it."""
        content = bytes(range(256)) * 4096
        put(store, KEY, content)
        with store.open(KEY, 100, 900_000) as file:
            seen = b""
            while len(seen) < 900_000:
                here = file.tell()
                piece = file.read(min(180_000, 900_000 - len(seen)))
                assert file.seek(here) == here
                seen += file.read(len(piece) // 2 or 1)
            assert seen == content[100:900_100]
            file.seek(7)
            assert file.read(300_000) == content[7:300_007]
            file.seek(-5, 2)
            assert (file.read(), file.read()) == (content[-5:], b"")

    def test_old_stages_are_swept_and_blobs_are_not(self, store):
        put(store, KEY, b"content")
        forget = self.leave_behind(store)
        assert store.sweep_stages(datetime(2000, 1, 1, tzinfo=UTC)) == 0
        assert store.sweep_stages(FUTURE, dry_run=True) == 1
        assert store.sweep_stages(FUTURE) == 1
        assert store.sweep_stages(FUTURE) == 0
        assert content_of(store, KEY) == b"content"
        forget()

    def test_the_probe_leaves_nothing(self, store):
        store.probe()
        store.ping()
        assert list(store.list()) == []

    def test_readers_never_see_half_a_blob(self, store):
        """Several writers promote the same bytes over and over while readers read them."""
        content = bytes(range(256)) * 1_000
        put(store, KEY, content)

        def read() -> bool:
            return all(content_of(store, KEY) == content for _ in range(25))

        def write() -> None:
            for _ in range(12):
                put(store, KEY, content)

        with ThreadPoolExecutor(4) as threads:
            done = [threads.submit(act) for act in (read, write, read, write)]
        assert [each.result() for each in done] == [True, None, True, None]
