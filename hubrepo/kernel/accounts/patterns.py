"""Name patterns: a key may be limited to things whose names match, such as `packages:team-*`.

A pattern is the kind of things, a colon, and a name in which `*` stands for any characters and `?` for
one. A key with patterns is good for nothing else than what they reach.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from hubrepo.kernel.accounts.errors import BadAccountData
from hubrepo.kernel.base import nfc, shown

# Many stars would make a match of a long name take ages.
MOST_STARS = 2
MOST_LENGTH = 1024

_PATTERN = re.compile(r"([a-z]+):([\w.*?-]+)")
_IN_REGEX = str.maketrans({".": r"\.", "*": ".*", "?": "."})


def checked_patterns(patterns: Iterable[str]) -> str | None:
    """The patterns as they are kept, None for none. Raises BadAccountData."""
    found = sorted({nfc(each) for each in patterns})
    for each in found:
        if not (match := _PATTERN.fullmatch(each)) or match[2].count("*") > MOST_STARS:
            raise BadAccountData(
                f"{shown(each)} is not a pattern: write one like 'packages:team-*', with two stars at most"
            )
    text = " ".join(found)
    if len(text) > MOST_LENGTH:
        raise BadAccountData(
            f"the patterns of a key have at most {MOST_LENGTH} characters together"
        )
    return text or None


def kinds_of(patterns: Sequence[str]) -> list[str]:
    """The kinds of things that the patterns reach."""
    return sorted({each.partition(":")[0] for each in patterns})


@lru_cache(1024)
def regex_of(patterns: tuple[str, ...], kind: str) -> str:
    """What all of a name of `kind` must match: means the same to Python, SQLite and PostgreSQL.

    For patterns that reach nothing of that kind it matches no name.
    """
    names = [name for each in patterns for of, _, name in [each.partition(":")] if of == kind]
    return f"^({'|'.join(name.translate(_IN_REGEX) for name in names)})$" if names else "^$"
