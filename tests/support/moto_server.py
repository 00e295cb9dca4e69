"""moto's server on a port, with connections that are kept and objects that may be read while they are replaced.

moto's own server closes each connection. Its objects close the bytes of what is replaced though others
still read them, and compute a tag when first asked for it, in as many threads as ask: either ends as a
500 now and then.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

import waitress
from moto.s3.models import FakeKey
from moto.server import DomainDispatcherApplication, create_backend_app
from waitress.channel import HTTPChannel

_make, _send_continue = FakeKey.__init__, HTTPChannel.send_continue


def _make_with_tag(self: FakeKey, *arguments: Any, **keywords: Any) -> None:
    _make(self, *arguments, **keywords)
    assert self.etag


def _send_continue_and_wait_for_no_empty_body(self: HTTPChannel) -> None:
    is_empty = self.request.completed
    _send_continue(self)
    self.request.completed = is_empty


FakeKey.__init__ = _make_with_tag  # type: ignore[method-assign]
# The last one that holds the bytes frees them.
FakeKey.dispose = lambda *_: None  # type: ignore[method-assign]
HTTPChannel.send_continue = _send_continue_and_wait_for_no_empty_body  # type: ignore[method-assign]

_moto = DomainDispatcherApplication(create_backend_app)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Call moto, which has another name for the path as it was sent."""
    return _moto(environ | {"RAW_URI": environ["REQUEST_URI"]}, start_response)


if __name__ == "__main__":
    waitress.serve(application, host="127.0.0.1", port=int(sys.argv[1]), threads=16)
