"""Every store keeps the contract; and what only one of them has to prove."""

import errno
import os
from pathlib import Path

import pytest

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import open_store
from hubrepo.kernel.blobs.stores import DiskStore, MemoryStore, StoreFull, StoreUnavailable
from tests.contracts.store import FUTURE, KEY, StoreContract, content_of, put, staged
from tests.support.s3 import credentials


class TestDisk(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return DiskStore(str(tmp_path / "blobs"))

    def test_files_and_folders_are_readable_by_the_hub_alone(self, store, tmp_path):
        put(store, KEY, b"content")
        folders = [path for path in (tmp_path / "blobs").rglob("*") if path.is_dir()]
        assert folders
        assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "blobs", *folders])

    def test_bytes_and_their_names_are_synced_before_promote_returns(
        self, store, tmp_path, monkeypatch
    ):
        synced: list[str] = []
        real = os.fsync
        monkeypatch.setattr(
            os,
            "fsync",
            lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd)),
        )
        put(store, KEY, b"content")
        root = str((tmp_path / "blobs").resolve())
        organisation, first, _ = KEY.split("/")
        assert synced[0].startswith(f"{root}/.stage/")
        assert synced[1:] == [f"{root}/{organisation}/{first}", f"{root}/{organisation}", root]

    def test_a_full_disk_is_told_from_a_broken_one(self, store, monkeypatch):
        for number, error in ((errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable)):
            stage = staged(store, b"content")

            def fail(*_args: object, number: int = number) -> None:
                raise OSError(number, "injected")

            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", fail)
                with pytest.raises(error):
                    store.promote(stage, KEY)
            stage.discard()

    def test_a_stage_that_a_full_disk_cannot_take_is_discarded_all_the_same(self, store):
        stage = staged(store, b"still buffered")

        def full(*_args: object) -> None:
            raise OSError(errno.ENOSPC, "injected")

        real = stage._file

        class Full:
            write = flush = staticmethod(full)
            fileno = real.fileno

            def close(self) -> None:
                real.close()
                full()

        stage._file = Full()
        with pytest.raises(StoreFull):
            stage.write(b"more")
        with pytest.raises(StoreFull):
            stage.reader()
        with pytest.raises(StoreFull):
            store.promote(stage, KEY)
        stage.discard()
        assert list(store.list()) == []
        assert store.sweep_stages(FUTURE) == 0

    @pytest.mark.parametrize("step", ["fsync", "replace", "mkdir", "open"])
    @pytest.mark.parametrize(
        ("number", "error"),
        [
            (errno.ENOSPC, StoreFull),
            (errno.EDQUOT, StoreFull),
            (errno.EIO, StoreUnavailable),
            (errno.EACCES, StoreUnavailable),
            (errno.EROFS, StoreUnavailable),
        ],
    )
    def test_whatever_step_of_a_promotion_fails_it_is_an_error_of_the_store(
        self, store, monkeypatch, step, number, error
    ):
        stage = staged(store, b"content")

        def fail(*_args: object, **_options: object) -> None:
            raise OSError(number, "injected")

        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(error):
                store.promote(stage, KEY)
        stage.discard()
        put(store, KEY, b"content")
        assert content_of(store, KEY) == b"content"

    @pytest.mark.parametrize("step", ["fsync", "remove", "open"])
    def test_a_deletion_that_fails_is_an_error_of_the_store(self, store, monkeypatch, step):
        put(store, KEY, b"content")

        def fail(*_args: object, **_options: object) -> None:
            raise OSError(errno.EIO, "injected")

        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(StoreUnavailable):
                store.delete(KEY)
        store.delete(KEY)

    def test_a_disk_that_is_not_mounted_is_not_a_blob_that_is_missing(self, store, tmp_path):
        put(store, KEY, b"content")
        (tmp_path / "blobs").rename(tmp_path / "away")
        (tmp_path / "blobs").mkdir()
        for look in (store.open, store.stat, store.delete, lambda key: list(store.list(key))):
            with pytest.raises(StoreUnavailable):
                look(KEY)
        with pytest.raises(StoreUnavailable):
            store.sweep_stages(FUTURE)
        (tmp_path / "blobs").rmdir()
        (tmp_path / "away").rename(tmp_path / "blobs")
        assert content_of(store, KEY) == b"content"

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

    def test_other_processes_do_not_see_it(self, store, tmp_path):
        assert not store.is_shared
        assert DiskStore(str(tmp_path / "blobs")).is_shared


class OnS3(StoreContract):
    def leave_behind(self, store):
        # A stage is a local file without a name; what S3 keeps of a dead process is this.
        store.filesystem.bucket.begin_upload(KEY)
        return bool


class TestMoto(OnS3):
    @pytest.fixture
    def store(self, s3):
        return open_store(s3.url(f"{s3.new_bucket()}/some/where"))


class TestCeph(OnS3):
    @pytest.fixture
    def store(self, ceph):
        with credentials(ceph):
            yield open_store(ceph.url(ceph.new_bucket()))


@pytest.mark.parametrize("url", ["", "blobs", "mem://x", "osfs://", "ftp://host/x", "s3:/x"])
def test_a_url_that_names_no_store_stops_the_start(url):
    with pytest.raises(Misconfigured, match=r"hubrepo\.blobs must be"):
        open_store(url)


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Misconfigured, match=r"hubrepo\.blobs: .* cannot be written"):
        open_store(f"osfs://{tmp_path}/file/blobs")
