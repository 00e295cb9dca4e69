"""What parts of the hub claim for the paths that they answer: errors of a shape, headers, credentials."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Claimed = TypeVar("Claimed")


class Claims(Generic[Claimed]):
    """Values by path, such as `/pages`: each holds for the path and all below it; the longest path wins."""

    def __init__(self, default: Claimed) -> None:
        self._default = default
        self._claims: list[tuple[str, Claimed]] = []

    def add(self, path: str, value: Claimed) -> None:
        """Claim `value` for `path`."""
        self._claims.append((path, value))
        self._claims.sort(key=lambda each: len(each[0]), reverse=True)

    def at(self, path: str) -> Claimed:
        """What holds for `path`, which may be longer than any that is claimed."""
        for claimed, value in self._claims:
            if path.startswith(claimed) and path[len(claimed) : len(claimed) + 1] in {"", "/"}:
                return value
        return self._default

    def __iter__(self) -> Iterator[Claimed]:
        """Everything that holds somewhere."""
        yield from (value for _, value in self._claims)
        yield self._default
