"""Reading TOML from strangers."""

import re
import tomllib
from collections.abc import Callable
from typing import Any

# tomllib takes time in the cube of the parts of a dotted key, so nobody gets to send many.
_ENDLESS_KEY = re.compile(
    r"""(?<![\w\\-])
    (?: (?: [\w-]+ | "(?:[^"\\\n]|\\.)*" | '[^'\n]*' ) [\t ]*\.[\t ]* ){32}""",
    re.ASCII | re.VERBOSE,
)


def parse_toml(text: str, parse_float: Callable[[str], object] = float) -> dict[str, Any]:
    """The document in `text`. Raises ValueError for whatever is wrong with it."""
    if _ENDLESS_KEY.search(text):
        raise ValueError("a key has too many parts")
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except RecursionError:
        raise ValueError("nested too deeply") from None
