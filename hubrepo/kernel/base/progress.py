"""Telling how far something has come, to whoever may want to know."""

from collections.abc import Callable

Tell = Callable[[int], object]


def tell_nobody(_done: int) -> None:
    """A `Tell` for nobody."""
