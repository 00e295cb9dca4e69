"""The contract on every store, and what only one of them has to prove."""

import errno
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from urllib.request import urlopen

import pytest

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import open_store
from hubrepo.kernel.blobs.stores import DiskStore, MemoryStore, StoreFull, StoreUnavailable
from tests.contracts.store import FUTURE, KEY, OTHER, StoreContract, content_of, put, staged
from tests.support.s3 import credentials


@contextmanager
def failing(step, number):
    """Let one function of `os` fail, and whatever it is needed for."""

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(number, "injected")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, step, fail)
        yield


class TestDisk(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return DiskStore(str(tmp_path / "blobs"))

    def test_files_and_folders_are_readable_by_the_hub_alone(self, store, tmp_path):
        put(store, KEY, b"content")
        folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
        assert [path.stat().st_mode & 0o077 for path in folders] == [0] * len(folders) != []

    def test_bytes_and_names_are_synced_before_promote_returns(self, store, tmp_path, monkeypatch):
        synced: list[str] = []
        real = os.fsync

        def fsync(descriptor: int) -> None:
            synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        put(store, KEY, b"content")
        root = str((tmp_path / "blobs").resolve())
        organisation, first, _ = KEY.split("/")
        assert synced[0].startswith(f"{root}/.stage/")
        assert synced[1:] == [f"{root}/{organisation}/{first}", f"{root}/{organisation}", root]

    def test_a_stage_that_a_full_disk_cannot_take_is_discarded_all_the_same(self, store):
        stage = staged(store, b"")
        stage._file.close()
        stage._file = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115 - the stage's to close
        with pytest.raises(StoreFull):
            stage.write(b"more")
        stage.discard()
        assert list(store.list()) == []

    def test_whatever_step_fails_it_is_an_error_of_the_store(self, store):
        """And a full disk is told from a broken one."""
        kinds = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), StoreFull)
        kinds |= dict.fromkeys((errno.EIO, errno.EACCES, errno.EROFS), StoreUnavailable)
        for step, number in product(("fsync", "replace", "mkdir", "open"), kinds):
            stage = staged(store, b"content")
            with failing(step, number), pytest.raises(kinds[number]):
                store.promote(stage, KEY)
            stage.discard()
            put(store, KEY, b"content")
            assert content_of(store, KEY) == b"content"
            store.delete(KEY)
            (Path(store._root) / KEY).parent.rmdir()
        for step in ("fsync", "remove", "open"):
            put(store, KEY, b"content")
            with failing(step, errno.EIO), pytest.raises(StoreUnavailable):
                store.delete(KEY)
            store.delete(KEY)

    def test_a_disk_that_is_not_mounted_is_not_a_blob_that_is_missing(self, store, tmp_path):
        put(store, KEY, b"content")
        (tmp_path / "blobs").rename(tmp_path / "away")
        (tmp_path / "blobs").mkdir()
        looks = (store.open, store.stat, store.delete, lambda key: list(store.list(key)))
        for look in (*looks, lambda _: store.sweep_stages(FUTURE)):
            with pytest.raises(StoreUnavailable):
                look(KEY)
        (tmp_path / "blobs").rmdir()
        (tmp_path / "away").rename(tmp_path / "blobs")
        assert content_of(store, KEY) == b"content"

    def test_a_folder_in_the_place_of_a_blob_is_no_blob(self, store, tmp_path):
        (tmp_path / "blobs" / KEY).mkdir(parents=True)
        assert list(store.list()) == []

    def test_two_that_sweep_at_the_same_time_do_not_hinder_each_other(self, store, monkeypatch):
        stages = [staged(store, b"left behind") for _ in range(3)]
        real = store._fs.getinfo

        def gone_meanwhile(path: str, **options: object) -> object:
            Path(store._fs.getsyspath(path)).unlink(missing_ok=True)
            return real(path, **options)

        monkeypatch.setattr(store._fs, "getinfo", gone_meanwhile)
        assert store.sweep_stages(FUTURE) == 0
        for stage in stages:
            stage.discard()


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    def test_other_processes_do_not_see_it_and_neither_it_nor_a_disk_has_links(
        self, store, tmp_path
    ):
        disk = DiskStore(str(tmp_path / "blobs"))
        assert (store.is_shared, disk.is_shared) == (False, True)
        assert store.link(KEY, 60, {}) is disk.link(KEY, 60, {}) is None


class OnS3(StoreContract):
    def leave_behind(self, store):
        # A stage is a local file without a name; what S3 keeps of a dead process is this.
        store.filesystem.bucket.begin_upload(KEY)
        return bool


@pytest.mark.long
class TestMoto(OnS3):
    @pytest.fixture
    def store(self, s3):
        return open_store(s3.url(f"{s3.new_bucket()}/some/where"))


@pytest.mark.stress
class TestCeph(OnS3):
    """S3 by another server, one that checks signatures."""

    @pytest.fixture
    def store(self, ceph):
        with credentials(ceph):
            yield open_store(ceph.url(ceph.new_bucket()))

    def test_a_link_is_for_one_blob_with_its_headers_and_expires(self, store, monkeypatch):
        put(store, KEY, b"content")
        put(store, OTHER, b"another")
        link = store.link(KEY, 60, {"Content-Type": "application/zip"})
        with urlopen(link) as answer:
            assert answer.read() == b"content"
            assert answer.headers["Content-Type"] == "application/zip"
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: an_hour_ago)
        expired = store.link(KEY, 60, {})
        monkeypatch.undo()
        for wrong in (link.replace(KEY, OTHER), expired):
            with pytest.raises(OSError, match="403"):
                urlopen(wrong)

    @pytest.mark.parametrize(
        ("variable", "reason"),
        [("SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("ACCESS_KEY_ID", "InvalidAccessKeyId")],
    )
    def test_bad_credentials_stop_the_start(self, ceph, store, monkeypatch, variable, reason):
        monkeypatch.setenv(f"AWS_{variable}", "wrong" * 8)
        expected = rf"cannot be written: S3 refuses the credentials \({reason}\)$"
        with pytest.raises(Misconfigured, match=expected):
            open_store(ceph.url(store.filesystem.bucket.address.bucket))


def test_a_wrong_place_stops_the_start_and_the_line_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for url in ("", "blobs", "mem://x", "osfs://", "ftp://host/x", "s3:/x"):
        with pytest.raises(Misconfigured, match=r"hubrepo\.blobs must be"):
            open_store(url)
    with pytest.raises(Misconfigured, match=r"hubrepo\.pages: .* cannot be written"):
        open_store(f"osfs://{tmp_path}/file/blobs", "hubrepo.pages")
