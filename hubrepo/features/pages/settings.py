"""What is kept of pages that were replaced, and where pages are served."""

import re
from dataclasses import dataclass
from typing import Self

from hubrepo.kernel.base import Misconfigured, setting

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"({_LABEL}(?:\.{_LABEL})*)(?::([0-9]{{1,5}}))?", re.IGNORECASE)


@dataclass(frozen=True)
class PageSettings:
    """How many past publications are kept, and how long. The live one is kept in any case."""

    keep_publications: int = setting(
        10, minimum=0, help="Past publications kept of each page, for rolling back."
    )
    keep_days: int = setting(
        90,
        minimum=0,
        help="Days that a publication is kept once it was replaced or unpublished; 0: no limit.",
    )


@dataclass(frozen=True)
class PlaceSettings:
    """Where pages lie, and where their scripts may not meet the sessions of people."""

    pages: str = setting(
        "",
        help="URL of a store of their own for pages that are published from now on; without it they lie with "
        "all other bytes, in `hubrepo.blobs`.",
    )
    pages_host: str = setting(
        "",
        help="A host such as `pages.example.net` (and a port where browsers need one), which the hub itself "
        "is not known by: pages are served there alone, and without a sandbox. Take one of another "
        "registrable domain than the hub's own: then no cookie passes between the two.",
    )


@dataclass(frozen=True)
class PagesHost:
    """The host that pages are served on: its name, and how browsers get there."""

    name: str
    address: str

    @classmethod
    def of(cls, settings: PlaceSettings) -> Self | None:
        """The one in the settings, if there is one. Raises Misconfigured."""
        if not settings.pages_host:
            return None
        match = _HOST.fullmatch(settings.pages_host)
        if match is None or int(match[2] or 0) > 65535:
            raise Misconfigured(
                f"hubrepo.pages_host must be a host such as pages.example.net, not {settings.pages_host!r}"
            )
        return cls(match[1].lower(), settings.pages_host.lower())
