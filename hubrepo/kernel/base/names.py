"""What things may be called, and how foreign text is made safe to show on one line."""

import re
import unicodedata

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

# `/api/sites/<slug>` and `/sites/<slug>` know these words as something else than an organisation.
RESERVED_SLUGS = frozenset({"me", "pages", "site", "quota"})

# Everything that could end a line or hide text in a log, a header or a Markdown file: C0 and C1
# controls, the Unicode line and paragraph separators, and the bidirectional overrides.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def is_slug(text: str) -> bool:
    """Whether `text` may name an organisation in a URL."""
    return bool(_SLUG.fullmatch(text)) and text not in RESERVED_SLUGS and not _GUID.fullmatch(text)


def one_line(text: str) -> str:
    """`text` on a single line: each run of control characters and line ends becomes one space."""
    return _UNPRINTABLE.sub(" ", text).strip()


def is_one_line(text: str) -> bool:
    """Whether `text` holds no control character and no line end."""
    return not _UNPRINTABLE.search(text)


def nfc(text: str) -> str:
    """`text` in Unicode normal form C, in which all names are kept and compared."""
    return unicodedata.normalize("NFC", text)
