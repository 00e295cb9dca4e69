"""Every store keeps the contract; and what only one of them has to prove."""

import errno
import os
from pathlib import Path

import pytest

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import open_store
from hubrepo.kernel.blobs.stores import DiskStore, MemoryStore, StoreFull, StoreUnavailable
from tests.contracts.store import KEY, StoreContract, put, staged


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


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()


@pytest.mark.parametrize("url", ["", "blobs", "mem://x", "osfs://", "ftp://host/x", "s3:/x"])
def test_a_url_that_names_no_store_stops_the_start(url):
    with pytest.raises(Misconfigured, match=r"hubrepo\.blobs must be"):
        open_store(url)


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Misconfigured, match=r"hubrepo\.blobs: .* cannot be written"):
        open_store(f"osfs://{tmp_path}/file/blobs")
