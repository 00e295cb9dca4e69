"""What every store promises. A store proves itself by inheriting: `class TestDisk(StoreContract)`."""

import hashlib
import threading
from collections.abc import Callable
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
    """Inherit, and give a fixture `store` that is empty."""

    def leave_behind(self, store: Store) -> Callable[[], object]:
        """What a process leaves in the store that dies while it puts a blob; and how to forget it here."""
        stage = staged(store, b"left behind")
        stage.sync()
        return stage.discard

    @pytest.fixture(autouse=True)
    def nothing_is_left_over(self, store: Store):
        yield
        assert store.sweep_stages(FUTURE) == 0, "a test left a stage behind"

    def test_what_is_promoted_is_there(self, store):
        put(store, KEY, b"content")
        assert content_of(store, KEY) == b"content"

    def test_a_stage_counts_and_hashes_what_is_written(self, store):
        stage = store.stage()
        for piece in (b"a" * 70_000, b"", b"b"):
            stage.write(piece)
        assert stage.size == 70_001
        assert stage.digest == hashlib.sha256(b"a" * 70_000 + b"b").hexdigest()
        stage.discard()

    def test_a_stage_can_be_read_anywhere_before_it_is_promoted(self, store):
        stage = staged(store, b"0123456789")
        with stage.reader() as file:
            assert (file.seek(4), file.read(3), file.seek(-2, 2), file.read()) == (
                4,
                b"456",
                8,
                b"89",
            )
        stage.discard()

    def test_a_stage_may_be_written_synced_and_written_again(self, store):
        stage = staged(store, b"first ")
        stage.sync()
        stage.write(b"second")
        store.promote(stage, KEY)
        assert content_of(store, KEY) == b"first second"

    def test_a_stage_is_visible_to_nobody(self, store):
        stage = staged(store, b"content")
        assert list(store.list()) == []
        stage.discard()

    def test_a_discarded_stage_leaves_nothing(self, store):
        stage = staged(store, b"content")
        stage.discard()
        stage.discard()
        assert list(store.list()) == []

    def test_discarding_after_promotion_harms_nothing(self, store):
        stage = staged(store, b"content")
        store.promote(stage, KEY)
        stage.discard()
        assert content_of(store, KEY) == b"content"

    def test_nothing_is_missing_loudly(self, store):
        with pytest.raises(BlobMissing):
            store.open(KEY)
        with pytest.raises(BlobMissing):
            store.stat(KEY)

    def test_no_bytes_are_bytes_too(self, store):
        store.promote(store.stage(), KEY)
        assert content_of(store, KEY) == b""
        assert store.stat(KEY).size == 0

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, 4, b"3456"), (8, 2, b"89"), (10, 0, b"")],
    )
    def test_bytes_are_read_from_where_one_asks(self, store, start, length, expected):
        put(store, KEY, b"0123456789")
        with store.open(KEY, start, length) as file:
            assert file.read(length) == expected

    def test_a_file_can_be_sought_and_told(self, store):
        """WSGI servers ask how much there is by seeking to the end."""
        put(store, KEY, b"0123456789")
        with store.open(KEY, 2) as file:
            assert file.tell() == 2
            assert file.seek(0, 2) == 10

    def test_promoting_the_same_again_keeps_it_and_makes_it_young(self, store):
        put(store, KEY, b"content")
        before = store.stat(KEY).modified
        put(store, KEY, b"content")
        assert content_of(store, KEY) == b"content"
        assert store.stat(KEY).modified >= before

    def test_stat_tells_size_and_age(self, store):
        put(store, KEY, b"content")
        stored = store.stat(KEY)
        assert (stored.key, stored.size) == (KEY, 7)
        assert abs(datetime.now(UTC) - stored.modified) < timedelta(minutes=5)

    def test_what_is_deleted_is_gone_and_deleting_again_is_fine(self, store):
        put(store, KEY, b"content")
        store.delete(KEY)
        store.delete(KEY)
        with pytest.raises(BlobMissing):
            store.open(KEY)

    def test_a_file_that_is_being_read_survives_its_deletion(self, store):
        put(store, KEY, b"content" * 100_000)
        with store.open(KEY) as file:
            head = file.read(7)
            store.delete(KEY)
            assert head + file.read() == b"content" * 100_000

    def test_the_list_is_complete_and_can_be_narrowed_to_an_organisation(self, store):
        for key in (KEY, OTHER, STRANGE):
            put(store, key, key.encode())
        assert {stored.key for stored in store.list()} == {KEY, OTHER, STRANGE}
        assert {stored.key for stored in store.list(STRANGE.partition("/")[0])} == {STRANGE}
        assert list(store.list("nobody")) == []

    def test_the_list_comes_in_the_order_of_keys(self, store):
        """Whoever compares it with a table reads both as they come."""
        keys = [
            STRANGE,
            KEY,
            f"{KEY[:33]}ac/{'0' * 62}",
            OTHER,
            f"{KEY[:33]}ab-c",
            f"{KEY[:33]}ab0",
        ]
        for key in keys:
            put(store, key, key.encode())
        assert [stored.key for stored in store.list()] == sorted(keys)

    def test_what_was_damaged_is_mended_by_putting_it_again(self, store):
        put(store, KEY, b"damaged")
        put(store, KEY, b"content")
        assert content_of(store, KEY) == b"content"
        assert store.stat(KEY).size == 7

    def test_a_file_goes_back_to_what_it_has_read_as_servers_do(self, store):
        """Waitress reads a piece, and goes back to where the socket stopped taking it."""
        content = bytes(range(256)) * 4096
        put(store, KEY, content)
        with store.open(KEY, 100, 900_000) as file:
            seen = b""
            while len(seen) < 900_000:
                here = file.tell()
                piece = file.read(min(18_000, 900_000 - len(seen)))
                assert file.seek(here) == here
                seen += file.read(len(piece) // 2 or 1)
        assert seen == content[100:900_100]

    def test_a_file_can_be_read_anywhere(self, store):
        content = bytes(range(256)) * 4096
        put(store, KEY, content)
        with store.open(KEY, 500_000, 10) as file:
            assert file.read(10) == content[500_000:500_010]
            file.seek(7)
            assert file.read(300_000) == content[7:300_007]
            file.seek(-5, 2)
            assert (file.read(), file.read()) == (content[-5:], b"")

    def test_no_bytes_behind_the_end(self, store):
        put(store, KEY, b"0123456789")
        with store.open(KEY, 10) as file:
            assert (file.tell(), file.seek(0, 2), file.read()) == (10, 10, b"")

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
        content = bytes(range(256)) * 2_000
        put(store, KEY, content)
        torn: list[int] = []

        def read() -> None:
            torn.extend(
                len(seen) for _ in range(100) if (seen := content_of(store, KEY)) != content
            )

        def write() -> None:
            for _ in range(50):
                put(store, KEY, content)

        threads = [threading.Thread(target=target) for target in (read, write, read, write)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torn == []
