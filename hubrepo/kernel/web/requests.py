"""What every request of ours has, and the class that has it."""

from random import getrandbits
from typing import TYPE_CHECKING, Any

from pyramid.interfaces import IRequestExtensions
from pyramid.request import Request

if TYPE_CHECKING:
    from functools import cached_property as reify
else:
    # Python 3.11's own takes a lock that all requests share.
    from pyramid.decorator import reify

__all__ = ["is_safe", "make_router", "reify", "request_id", "settle_request_class"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_safe(request: Any) -> bool:
    """Whether the method only reads: then there is no transaction to commit."""
    return request.method in SAFE_METHODS


def request_id(_request: Any) -> str:
    """16 hex digits that name this request in the log and in the answer. No secret."""
    return f"{getrandbits(64):016x}"


def settle_request_class(config: Any) -> None:
    """Make one class of requests with all the properties that were added.

    Left alone, Pyramid makes such a class anew for every request, which costs more than most of the
    properties do.
    """
    extensions = config.registry.queryUtility(IRequestExtensions)
    config.set_request_factory(type("HubRequest", (Request,), dict(extensions.descriptors)))
    config.commit()


def make_router(config: Any) -> Any:
    """The WSGI application, whose requests have their properties already.

    They stay registered for those who make requests of their own: `pviews`, `pshell`.
    """
    router = config.make_wsgi_app()
    router.request_extensions = None
    return router
