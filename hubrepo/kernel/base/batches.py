"""Many things, some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Thing = TypeVar("Thing")


def batched(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """`things` in lists of at most `size` (itertools has it from Python 3.12 on)."""
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some
