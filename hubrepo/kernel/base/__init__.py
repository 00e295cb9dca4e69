"""Pure Python that everything else may use: it knows no database, no HTTP, no feature."""

from hubrepo.kernel.base.batches import batched
from hubrepo.kernel.base.clock import Clock, iso_micros, iso_seconds, now
from hubrepo.kernel.base.digests import content_hash, repr_digest
from hubrepo.kernel.base.durable import sync_folder, write_durably
from hubrepo.kernel.base.errors import (
    Conflict,
    Forbidden,
    Gone,
    HubError,
    Invalid,
    Misconfigured,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
)
from hubrepo.kernel.base.ids import new_guid, random_hex, random_text
from hubrepo.kernel.base.logs import hide, redact, redacted
from hubrepo.kernel.base.names import (
    MOST_MARKS,
    has_many_marks,
    is_one_line,
    is_slug,
    nfc,
    one_line,
    shown,
    shown_list,
)
from hubrepo.kernel.base.paging import BadCursor, Page
from hubrepo.kernel.base.progress import Tell, tell_nobody
from hubrepo.kernel.base.settings import Line, lines_of, read_section, setting
from hubrepo.kernel.base.tables import date, table
from hubrepo.kernel.base.toml import parse_toml

__all__ = [
    "MOST_MARKS",
    "BadCursor",
    "Clock",
    "Conflict",
    "Forbidden",
    "Gone",
    "HubError",
    "Invalid",
    "Line",
    "Misconfigured",
    "NotFound",
    "Page",
    "Tell",
    "TooLarge",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "Unprocessable",
    "UnsupportedMedia",
    "batched",
    "content_hash",
    "date",
    "has_many_marks",
    "hide",
    "is_one_line",
    "is_slug",
    "iso_micros",
    "iso_seconds",
    "lines_of",
    "new_guid",
    "nfc",
    "now",
    "one_line",
    "parse_toml",
    "random_hex",
    "random_text",
    "read_section",
    "redact",
    "redacted",
    "repr_digest",
    "setting",
    "shown",
    "shown_list",
    "sync_folder",
    "table",
    "tell_nobody",
    "write_durably",
]
