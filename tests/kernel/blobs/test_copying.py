"""Blobs move between stores whole or not at all, and copying can be stopped and begun again."""

import hashlib
import random
from functools import partial

import pytest

from hubrepo.kernel.blobs import BlobDamaged, BlobMissing, copy_blob, copy_store, key_of, open_store
from hubrepo.kernel.blobs.stores import DiskStore, MemoryStore, StoreUnavailable
from tests.contracts.store import FUTURE, content_of, put
from tests.support.filled import STORES

GUIDS = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210")


@pytest.fixture
def source():
    return MemoryStore()


@pytest.fixture
def target(tmp_path):
    return DiskStore(str(tmp_path / "target"))


def filled(store):
    """Put twelve blobs of two organisations; return them by their keys."""
    rng = random.Random(3)
    found = {}
    for number in range(12):
        content = rng.randbytes(rng.randrange(5000))
        key = key_of(GUIDS[number % 2], hashlib.sha256(content).hexdigest())
        put(store, key, content)
        found[key] = content
    return found


@pytest.fixture
def blobs(source):
    return filled(source)


def all_of(store):
    return {stored.key: content_of(store, stored.key) for stored in store.list()}


# Each store is copied from and to.
@pytest.mark.long
@pytest.mark.parametrize(("origin", "goal"), [("disk", "s3"), ("s3", "memory"), ("memory", "disk")])
def test_every_blob_is_copied_and_nothing_else(request, tmp_path, origin, goal):
    for place in (origin, goal):
        (tmp_path / place).mkdir()
    source, target = (open_store(STORES[each](request, tmp_path / each)) for each in (origin, goal))
    blobs = filled(source)
    put(source, "notes.txt", b"mine")
    for key in list(blobs)[:5]:
        put(target, key, blobs[key])
    told = []
    done = copy_store(source, target, tell=told.append)
    assert all_of(target) == blobs
    counts = (done.blobs, done.present, done.strange, done.damaged)
    assert counts == (7, 5, 1, []), "what is there already is not copied again"
    assert done.size == sum(map(len, list(blobs.values())[5:]))
    assert sum(told) == sum(map(len, blobs.values()))
    assert target.sweep_stages(FUTURE) == 0


def test_it_can_be_stopped_anywhere_and_begun_again(source, tmp_path, blobs, monkeypatch):
    for fails_at in (0, 5, 11):
        target = DiskStore(str(tmp_path / str(fails_at)))
        real, left = target.promote, iter(range(fails_at))

        def promote(stage, key, real=real, left=left):
            if next(left, None) is None:
                raise StoreUnavailable
            real(stage, key)

        with monkeypatch.context() as patch:
            patch.setattr(target, "promote", promote)
            with pytest.raises(StoreUnavailable):
                copy_store(source, target)
        there = all_of(target)
        assert len(there) == fails_at
        assert there.items() <= blobs.items()
        done = copy_store(source, target)
        assert (done.blobs, done.present) == (12 - fails_at, fails_at)
        assert all_of(target) == blobs
        assert target.sweep_stages(FUTURE) == 0


def test_a_damaged_blob_is_named_and_neither_copied_nor_put_over_a_good_one(source, target, blobs):
    flipped, cut = sorted(blobs)[:2]
    put(source, flipped, b"x" * len(blobs[flipped]))
    put(source, cut, blobs[cut][:-1])
    put(target, cut, blobs[cut])
    done = copy_store(source, target)
    assert (done.damaged, done.blobs) == ([flipped, cut], 10)
    assert all_of(target) == {key: blobs[key] for key in blobs if key != flipped}


def test_another_size_is_mended_at_once_and_the_same_size_by_reading(source, target, blobs):
    copy_store(source, target)
    cut, flipped = sorted(blobs, key=lambda key: -len(blobs[key]))[:2]
    put(target, cut, blobs[cut][:-1])
    put(target, flipped, b"x" * len(blobs[flipped]))
    assert copy_store(source, target).blobs == 1
    assert content_of(target, cut) == blobs[cut]
    done = copy_store(source, target, deep=True)
    assert (done.blobs, done.present) == (1, 11)
    assert all_of(target) == blobs


def test_a_blob_that_goes_meanwhile_is_nobodys_loss(source, target, blobs, monkeypatch):
    gone, real = min(blobs), source.open

    def open_file(key, *rest):
        source.delete(gone)
        return real(key, *rest)

    monkeypatch.setattr(source, "open", open_file)
    done = copy_store(source, target)
    assert (done.blobs, done.damaged) == (11, [])


def test_one_blob_is_proved_on_the_way(source, target, blobs):
    key = max(blobs, key=lambda each: len(blobs[each]))
    assert copy_blob(partial(source.open, key), target, key) == len(blobs[key])
    for wrong in (key_of(GUIDS[0], "a" * 64), "../../etc/passwd"):
        with pytest.raises(BlobDamaged):
            copy_blob(partial(source.open, key), target, wrong)
    with pytest.raises(BlobMissing):
        copy_blob(partial(source.open, key_of(GUIDS[0], "b" * 64)), target, key)
    assert all_of(target) == {key: blobs[key]}
    assert target.sweep_stages(FUTURE) == 0
