"""A page of a listing, as those who fetch the rows see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from hubrepo.kernel.base.errors import Invalid

Row = TypeVar("Row")


class BadCursor(Invalid):
    """A cursor that no listing has given."""

    code = "bad-cursor"
    message = "'cursor' is not one that this listing gave"


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
        """`after` for listings that are ordered by a number. Raises BadCursor."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 10):
            raise BadCursor
        return int(self.after)

    def after_guid(self) -> UUID | None:
        """`after` for listings of things that are named by GUIDs. Raises BadCursor."""
        try:
            return UUID(self.after) if self.after is not None else None
        except ValueError:
            raise BadCursor from None
