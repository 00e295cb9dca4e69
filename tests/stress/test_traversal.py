"""Strings that could lead out of a folder, in every parameter of every view, with every method."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hub import Hub
from tests.support.intruder import Intruder, holes
from tests.support.traversal import STRINGS

pytestmark = pytest.mark.stress


def test_no_string_leads_outside_anywhere(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = holes(hub.registry.methods)
    told: Counter[int] = Counter()
    with Intruder(tmp_path, workers=2) as intruder:

        def fill(number: int) -> Counter[int]:
            hole = places[number]
            with intruder.wire() as wire:
                return Counter(
                    intruder.visit(wire, hole.method, hole.filled(string))
                    for string in STRINGS[number % 2 :: 2]
                )

        def upload(strings: Sequence[str]) -> Counter[int]:
            with intruder.wire() as wire:
                return Counter(one for each in strings for one in intruder.uploads(wire, each))

        with ThreadPoolExecutor(2) as pool:
            for each in pool.map(fill, range(len(places))):
                told += each
            # Uploads cost more: of these every third string.
            for each in pool.map(upload, (STRINGS[::6], STRINGS[3::6])):
                told += each
        intruder.check_outside()
    with capsys.disabled():
        print(f"\n{len(STRINGS)} strings in {len(places)} places: {dict(sorted(told.items()))}")
    assert len(STRINGS[1::2]) > 500
    assert not [status for status in told if status >= 500]
