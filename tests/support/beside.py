"""What a feature adds to the lists that all surfaces share: it lies beside its tests, and goes with them."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import hubrepo


def beside_tests(name: str) -> Iterator[ModuleType]:
    """The module of that name beside the tests of each feature that has one."""
    for feature in hubrepo.FEATURES:
        module = f"{feature.replace('hubrepo', 'tests', 1)}.{name}"
        if find_spec(module) is not None:
            yield import_module(module)
