"""Conditional and range requests (RFC 9110, sections 13 and 14) for bytes that never change."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

# More than one range is allowed to be answered with everything, and is.
_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\s*", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


@dataclass(frozen=True)
class Slice:
    """`length` bytes from `start`."""

    start: int
    length: int

    @property
    def last(self) -> int:
        """The index of its last byte."""
        return self.start + self.length - 1


class RangeNotSatisfiable(Exception):
    """The range begins behind the end."""


def wanted_slice(header: str | None, size: int) -> Slice | None:
    """What a `Range` header asks for; None where it is absent, unknown or malformed: send it all.

    Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header or "")
    if not match:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        if not length:
            raise RangeNotSatisfiable
        return Slice(size - length, length)
    start, end = int(first), int(last) if last else size - 1
    if last and end < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return Slice(start, min(end, size - 1) - start + 1)


def matches_any(header: str, etag: str) -> bool:
    """Whether an `If-None-Match` header names `etag` (weak comparison)."""
    return header.strip() == "*" or any(
        tag.removeprefix("W/") == etag for tag in _TAG.findall(header)
    )


def matches_strongly(header: str, etag: str) -> bool:
    """Whether an `If-Match` header names `etag` (strong comparison)."""
    return header.strip() == "*" or etag in _TAG.findall(header)


def range_still_applies(if_range: str | None, etag: str, modified: datetime | None) -> bool:
    """Whether `If-Range` names the bytes we have: by strong tag, or by the exact date."""
    if if_range is None:
        return True
    if if_range.strip().startswith('"'):
        return if_range.strip() == etag
    date = parse_date(if_range)
    return date is not None and modified is not None and date == modified.replace(microsecond=0)


def not_modified_since(header: str | None, modified: datetime | None) -> bool:
    """Whether an `If-Modified-Since` header is as new as what we have."""
    date = parse_date(header)
    return date is not None and modified is not None and modified.replace(microsecond=0) <= date


def parse_date(text: str | None) -> datetime | None:
    """An HTTP date, or None."""
    try:
        date = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError, OverflowError):
        return None
    return date if date is not None and date.tzinfo is not None else None
