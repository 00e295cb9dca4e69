"""Strings that could lead out of a folder, in every parameter of every view, with every method."""

from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from tests.support.intruder import Hole, Intruder, holes
from tests.support.samples import sampled
from tests.support.traversal import STRINGS

pytestmark = pytest.mark.stress


def test_no_string_leads_outside_anywhere(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    intruder, told = Intruder(tmp_path), Counter[int]()
    places: list[Hole | None] = [*holes(intruder.hub), None]
    for place, string in sampled(product(places, STRINGS), seed):
        told.update(intruder.uploads(string) if place is None else [intruder.visit(place, string)])
    intruder.check_outside()
    intruder.hub.registry.database.close()
    with capsys.disabled():
        print(f"\n{len(STRINGS)} strings in {len(places)} places: {dict(sorted(told.items()))}")
