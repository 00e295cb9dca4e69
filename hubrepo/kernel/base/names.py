"""What things may be called, and how foreign text is made safe to show on one line."""

import re
import unicodedata
from collections.abc import Sequence

from hubrepo.kernel.base.errors import Invalid
from hubrepo.kernel.base.logs import redact

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

# `/api/sites/<slug>` and `/sites/<slug>` know these words as something else than an organisation.
RESERVED_SLUGS = frozenset({"me", "pages", "site", "quota"})

# Everything that could end a line or hide text in a log, a header or a Markdown file: C0 and C1
# controls, the Unicode line and paragraph separators, and the bidirectional overrides. And halves of
# surrogate pairs, as bytes that are no text arrive on a command line: nothing can write them.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)

# Unicode calls a text that has no more of them in a row safe (UAX 15, section 13). Bringing more into
# normal form takes time in the square of their number, in which no other thread runs.
MOST_MARKS = 30
_MAYBE_MARKS = re.compile(f"[\u0300-\U0010ffff]{{{MOST_MARKS + 1}}}")
_MARKS = re.compile(rb"[^\0]{%d}" % (MOST_MARKS + 1))
# They have no class of their own, but are made of marks.
_OF_MARKS = re.compile("[\u0f73\u0f75\u0f81]")

# How many characters of a foreign text an error tells, and how many of such texts.
MOST_SHOWN, MOST_LISTED = 120, 8


def is_slug(text: str) -> bool:
    """Whether `text` may name an organisation in a URL."""
    return bool(_SLUG.fullmatch(text)) and text not in RESERVED_SLUGS and not _GUID.fullmatch(text)


def one_line(text: str) -> str:
    """`text` on a single line: each run of control characters and line ends becomes one space."""
    return _UNPRINTABLE.sub(" ", text).strip()


def is_one_line(text: str) -> bool:
    """Whether `text` holds no control character and no line end."""
    return not _UNPRINTABLE.search(text)


def has_many_marks(text: str) -> bool:
    """Whether `text` has more accents in a row than any language: it is no name, and no `nfc` takes it."""
    if not _MAYBE_MARKS.search(text):
        return False
    return bool(_MARKS.search(bytes(map(unicodedata.combining, _OF_MARKS.sub("\u0f72", text)))))


def nfc(text: str) -> str:
    """`text` in Unicode normal form C, in which all names are kept and compared.

    Raises Invalid for one that `has_many_marks`.
    """
    if has_many_marks(text):
        raise Invalid(f"a name has more than {MOST_MARKS} accents in a row")
    return unicodedata.normalize("NFC", text)


def shown(text: str) -> str:
    """`text` quoted for a message: on one line, without secrets, and cut when it is long."""
    # What is cut must not be half a secret, which nobody would know for one.
    told = redact(text[: 2 * MOST_SHOWN])
    return repr(told if len(told) <= MOST_SHOWN else f"{told[:MOST_SHOWN]}…")


def shown_list(texts: Sequence[str]) -> str:
    """The first of `texts`, each as `shown`, in brackets."""
    more = ["…"] if len(texts) > MOST_LISTED else []
    return f"[{', '.join([*map(shown, texts[:MOST_LISTED]), *more])}]"
