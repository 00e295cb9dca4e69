"""Faults are done to the bytes of a hub behind its back. A deep check finds them all, and nothing else."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.stress.backends import Place
from tests.stress.checks import check
from tests.stress.site import Site
from tests.stress.world import NoWire
from tests.support.archives import package_zip
from tests.support.hub import Hub

pytestmark = pytest.mark.stress

# Of each organisation, which has 45 blobs; three hundred faults in all. A sample has one organisation.
ORGANISATIONS, FLIPS, CUTS, REMOVALS, ADDITIONS = 6, 14, 12, 12, 12


def fill(hub: Hub) -> None:
    """Make an organisation with packages, pages and a product."""
    client = hub.organisation()
    wire, token = NoWire(hub, client.key), client.token(admin=True)
    for number in range(7):
        for package in range(4):
            name = f"package-{package}"
            archive = package_zip(name, readme=f"{client.slug} {package} {number}\n" * 50)
            assert wire.publish(name, archive).status == 201
    for generation in range(3):
        for page in range(4):
            site = Site(f"{client.slug}/{page}", files=3, large=0)
            answer = wire.publish_page(site.archive(generation), path=site.path)
            assert answer.status == 201
    token.create("engine")
    for number in range(5):
        token.put("engine", f"v{number}", f"{client.slug} {number}\n".encode() * 50)


class Vandal:
    """Damages bytes, and knows what a check must call each fault."""

    def __init__(self, place: Place, dice: random.Random) -> None:
        self.place, self.dice = place, dice

    def spoil(self, keys: Sequence[str], times: int) -> dict[str, str]:
        """Inject faults. Return the kinds of findings by key."""
        hit = iter(self.dice.sample(keys, times * (FLIPS + CUTS + REMOVALS)))
        acts = (self.flip, "changed", FLIPS), (self.cut, "truncated", CUTS)
        expected = {}
        for act, kind, count in (*acts, (self.place.remove, "missing", REMOVALS)):
            for _ in range(times * count):
                act(key := next(hit))
                expected[key] = kind
        return expected | dict.fromkeys(self.add(keys, times * ADDITIONS), "unknown")

    def flip(self, key: str) -> None:
        """Change one bit."""
        data = bytearray(self.place.read(key))
        data[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)
        self.place.write(key, bytes(data))

    def cut(self, key: str) -> None:
        data = self.place.read(key)
        self.place.write(key, data[: self.dice.randrange(len(data))])

    def add(self, keys: Sequence[str], count: int) -> Iterator[str]:
        """Add bytes that look like a blob, of this organisation or of none, and some that do not."""
        organisations = sorted({key.partition("/")[0] for key in keys})
        for number in range(count):
            digest = f"{self.dice.getrandbits(256):064x}"
            stranger = f"{self.dice.getrandbits(128):032x}"
            owner = stranger if number % 4 == 0 else self.dice.choice(organisations)
            rest = f"{digest[2:20]}.tmp" if number % 4 == 1 else digest[2:]
            key = f"{owner}/{digest[:2]}/{rest}"
            self.place.write(key, self.dice.randbytes(self.dice.randrange(2000)))
            yield key


def test_a_deep_check_finds_every_injected_fault_and_nothing_else(
    backend, tmp_path: Path, budget
) -> None:
    place, organisations = backend(tmp_path), 1 if budget.is_sample else ORGANISATIONS
    hub = place.hub()
    for _ in range(organisations):
        fill(hub)
    hub.registry.afterwards.settle()
    hub.registry.database.close()
    process, keys = place.process(tmp_path), place.keys()
    assert check(process, "--deep") == (0, {})
    expected = Vandal(place, random.Random(budget.seed)).spoil(keys, organisations)
    assert len(expected) == 50 * organisations
    assert check(process, "--deep") == (1, expected)
    # Without reading, all but those are found that left the size as it was.
    shallow = {key: kind for key, kind in expected.items() if kind != "changed"}
    assert check(process) == (1, shallow)
