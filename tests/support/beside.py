"""Additions of a feature to the lists of all surfaces. They lie beside its tests."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import hubrepo


def beside_tests(name: str) -> Iterator[ModuleType]:
    """Yield the module of that name beside the tests of each feature that has one."""
    for feature in hubrepo.FEATURES:
        module = f"{feature.replace('hubrepo', 'tests', 1)}.{name}"
        if find_spec(module) is not None:
            yield import_module(module)
