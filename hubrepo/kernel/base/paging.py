"""A page of a listing, as those who fetch the rows see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from hubrepo.kernel.base.errors import Invalid

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page:
    """A wish for at most `limit` things after the one named `after`; None: no bound."""

    limit: int | None = None
    after: str | None = None

    @property
    def fetch(self) -> int | None:
        """How many rows to ask for: one more than wanted tells whether there is a next page."""
        return None if self.limit is None else self.limit + 1

    def cut(self, rows: Sequence[Row]) -> tuple[Sequence[Row], bool]:
        """The rows of this page, and whether there are more."""
        if self.limit is None or len(rows) <= self.limit:
            return rows, False
        return rows[: self.limit], True

    def after_number(self) -> int | None:
        """`after` for listings that are ordered by a number."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 10):
            raise Invalid("'cursor' is not one that this listing gave")
        return int(self.after)
