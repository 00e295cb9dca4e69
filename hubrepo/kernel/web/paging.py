"""Pages of a listing: `?limit=&cursor=` in, `Link: <…>; rel="next"` (RFC 8288) out.

A cursor names the last thing of the page before, so a page costs the same wherever it lies, and
nothing is skipped or repeated when things are added meanwhile. Without either parameter a listing
is complete, as its clients have always known it.
"""

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from hubrepo.kernel.base import BadCursor, Invalid, Page

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def page_of(request: Any, default_limit: int | None = None) -> Page:
    """The page that the query asks for. Raises Invalid."""
    if not request.query_string and default_limit is None:
        return Page()
    try:
        limit, cursor = request.GET.get("limit"), request.GET.get("cursor")
    except UnicodeDecodeError:
        raise Invalid("the query is not valid UTF-8") from None
    if limit is None and cursor is None:
        return Page(default_limit)
    return Page(_limit(limit), _after(cursor))


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise Invalid(f"'limit' must be a number from 1 to {MAX_LIMIT}")


def _after(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        raise BadCursor from None
    if not text or "\0" in text:
        raise BadCursor
    return text


def link_next(request: Any, page: Page, last: object) -> None:
    """Tell the client where the next page is: behind the thing named `last`."""
    cursor = base64.urlsafe_b64encode(str(last).encode()).rstrip(b"=").decode("ascii")
    query = urlencode({"limit": page.limit, "cursor": cursor})
    request.response.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
