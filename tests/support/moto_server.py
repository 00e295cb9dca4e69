"""moto's server, as `python -m` runs it, with objects that may be read while they are replaced.

moto closes the bytes of what is replaced though others still read them, and computes a tag when first
asked for it, in as many threads as ask: either ends as a 500 now and then.
"""

from typing import Any

from moto import server
from moto.s3.models import FakeKey

_make = FakeKey.__init__


def _make_with_tag(self: FakeKey, *arguments: Any, **keywords: Any) -> None:
    _make(self, *arguments, **keywords)
    assert self.etag


def _left_to_its_readers(_self: FakeKey, garbage: bool = False) -> None:
    """The last one that holds the bytes frees them."""


FakeKey.__init__ = _make_with_tag  # type: ignore[method-assign]
FakeKey.dispose = _left_to_its_readers  # type: ignore[method-assign]

if __name__ == "__main__":
    server.main()
