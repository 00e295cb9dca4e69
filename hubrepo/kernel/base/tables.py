"""Tables of text, as commands print what they list."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hubrepo.kernel.base.clock import iso_seconds


def date(instant: datetime | None) -> str:
    """An instant in UTC, to the second; a dash for none."""
    return iso_seconds(instant) if instant else "-"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows below their heads, in columns."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
