"""Hundreds of faults are done to the bytes of a hub behind its back. A deep check finds them all."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.stress.backends import Place
from tests.stress.clients import Owner
from tests.stress.site import Site
from tests.stress.world import World, found_in, page_published, published, uploaded

pytestmark = pytest.mark.stress


def fill(world: World, size: int) -> None:
    """Make packages, products and pages of so many versions, and collect everything else."""
    for number in range(size):
        world.take(world.packager, published(f"more {number}\n" * 50))
        world.take(world.uploader, uploaded(f"more-{number}"))
        if number % 5 == 0:
            site = Site(f"more/{number}", files=3, large=0)
            owner = Owner(site, world.access, 0)
            world.take(owner, page_published(1))
            world.take(owner, page_published(2))
    world.collect()


def spoil(place: Place, dice: random.Random, keys: Sequence[str], count: int) -> dict[str, str]:
    """Inject so many faults of each kind. Return the kinds of findings by key."""
    expected = {}
    for number, key in enumerate(dice.sample(keys, 3 * count)):
        data = bytearray(place.read(key))
        kind = expected[key] = ("changed", "truncated", "missing")[number % 3]
        if kind == "missing":
            place.remove(key)
            continue
        at = dice.randrange(len(data))
        if kind == "truncated":
            del data[at:]
        else:
            data[at] ^= 1 << dice.randrange(8)
        place.write(key, bytes(data))
    return expected | dict.fromkeys(add(place, dice, keys, count), "unknown")


def add(place: Place, dice: random.Random, keys: Sequence[str], count: int) -> Iterator[str]:
    """Add bytes that look like a blob, of an organisation or of none, and some that do not."""
    organisation = keys[0].partition("/")[0]
    for number in range(count):
        digest = f"{dice.getrandbits(256):064x}"
        owner = f"{dice.getrandbits(128):032x}" if number % 4 == 0 else organisation
        rest = f"{digest[2:20]}.tmp" if number % 4 == 1 else digest[2:]
        key = f"{owner}/{digest[:2]}/{rest}"
        place.write(key, dice.randbytes(dice.randrange(2000)))
        yield key


def test_a_deep_check_finds_every_injected_fault_and_nothing_else(
    backend, tmp_path: Path, budget
) -> None:
    place, count = backend(tmp_path), 6 if budget.is_sample else 75
    world = World(place, tmp_path)
    fill(world, count * 3 // 2)
    assert found_in(world.hub) == []
    expected = spoil(place, random.Random(budget.seed), place.keys(), count)
    found = found_in(world.hub), found_in(world.hub, deep=False)
    world.close()
    deep, shallow = ({each.subject: each.kind for each in findings} for findings in found)
    assert deep == expected
    # Without reading, all but those are found that left the size as it was.
    assert shallow == {key: kind for key, kind in expected.items() if kind != "changed"}
