"""Three hundred things are done to the bytes of a hub behind its back. A deep check finds them all."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stress.backends import Backend, Place
from tests.stress.checks import check
from tests.stress.site import Site
from tests.stress.world import NoWire
from tests.support.archives import package_zip
from tests.support.hub import Hub

pytestmark = pytest.mark.stress

ORGANISATIONS, PACKAGES, VERSIONS, PAGES, PUBLICATIONS = 6, 4, 7, 4, 3
ARTIFACTS = 5
FLIPS, CUTS, REMOVALS, ADDITIONS = 80, 70, 70, 80


def fill(hub: Hub) -> None:
    """Organisations with packages, pages and products: 270 blobs."""
    for _ in range(ORGANISATIONS):
        client = hub.organisation()
        wire = NoWire(hub, client.key)
        for number in range(VERSIONS):
            for package in range(PACKAGES):
                name = f"package-{package}"
                archive = package_zip(name, readme=f"{client.slug} {package} {number}\n" * 50)
                assert wire.publish(name, archive).status == 201
        for generation in range(1, PUBLICATIONS + 1):
            for page in range(PAGES):
                site = Site(f"{client.slug}/{page}", files=3, large=0)
                answer = wire.publish_page(site.archive(generation), path=site.path)
                assert answer.status == 201
        token = client.token(admin=True)
        token.create("engine")
        for number in range(ARTIFACTS):
            token.put("engine", f"v{number}", f"{client.slug} {number}\n".encode() * 50)


@dataclass
class Vandal:
    """Does things to bytes, and remembers what a check must call each of them."""

    place: Place
    dice: random.Random

    def spoil(self, keys: Sequence[str]) -> dict[str, str]:
        """Three hundred faults; the kind of finding by key."""
        hit = iter(self.dice.sample(keys, FLIPS + CUTS + REMOVALS))
        expected = {}
        for act, kind, count in (
            (self._flip, "changed", FLIPS),
            (self._cut, "truncated", CUTS),
            (self.place.remove, "missing", REMOVALS),
        ):
            for _ in range(count):
                key = next(hit)
                act(key)
                expected[key] = kind
        return expected | dict.fromkeys(self._add(keys), "unknown")

    def _flip(self, key: str) -> None:
        """One bit."""
        data = bytearray(self.place.read(key))
        data[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)
        self.place.write(key, bytes(data))

    def _cut(self, key: str) -> None:
        data = self.place.read(key)
        self.place.write(key, data[: self.dice.randrange(len(data))])

    def _add(self, keys: Sequence[str]) -> Iterator[str]:
        """Bytes that look like a blob, of this organisation or of none, and such that do not."""
        organisations = sorted({key.partition("/")[0] for key in keys})
        strangers = [f"{self.dice.getrandbits(128):032x}" for _ in range(3)]
        for number in range(ADDITIONS):
            digest = f"{self.dice.getrandbits(256):064x}"
            owner = self.dice.choice(strangers if number % 4 == 0 else organisations)
            key = f"{owner}/{digest[:2]}/{digest[2:]}"
            if number % 4 == 1:
                key = f"{owner}/{digest[:2]}/{digest[2:20]}.tmp"
            self.place.write(key, self.dice.randbytes(self.dice.randrange(2000)))
            yield key


def test_a_deep_check_finds_each_of_three_hundred_faults_and_nothing_else(
    backend: Backend, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    started, place = time.monotonic(), backend.place(tmp_path)
    hub = place.hub()
    fill(hub)
    hub.registry.afterwards.settle()
    hub.registry.database.close()
    process, keys = place.process(tmp_path), place.keys()
    assert check(process, "--deep") == (0, {})

    expected = Vandal(place, random.Random(seed)).spoil(keys)
    status, found = check(process, "--deep")
    shallow = check(process)[1]

    seconds = time.monotonic() - started
    with capsys.disabled():
        told = dict(Counter(expected.values()))
        print(f"{len(expected)} faults in {len(keys)} blobs: {told}; {seconds:.0f} s")
    assert len(expected) == 300
    assert status == 1
    assert found == expected
    # Without reading, all but those are found that left the size as it was.
    assert shallow == {key: kind for key, kind in expected.items() if kind != "changed"}
