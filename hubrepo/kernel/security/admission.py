"""`/_ah/admission`: whether a request's body is worth reading.

Waitress takes a whole body before it asks whose it is. A proxy need not: it asks here first, with the
headers of the request and without its body, and reads on only for those who have a good credential of
the surface that they call.
"""

from functools import partial
from typing import Any
from urllib.parse import unquote

from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from hubrepo.kernel.base import HubError
from hubrepo.kernel.security.policy import recognised
from hubrepo.kernel.web import OperationsResource, body_of

# What the proxy was asked for.
ASKED = "X-Original-URI"
# What was answered, for proxies that cannot pass an answer's body on.
REFUSAL = "X-Hubrepo-Refusal"


@view_config(
    context=OperationsResource, name="admission", request_method="GET", renderer="json",
    permission=NO_PERMISSION_REQUIRED, http_cache=0,
)  # fmt: skip
def admit(context: OperationsResource, request: Any) -> dict[str, str]:  # noqa: ARG001
    """200 for a good credential, else 401; 403 in place of 429, of which nginx would make a 500.

    A refusal is what the request itself would have been answered, and stands in a header too.
    """
    path = _path_asked(request)
    authenticators = request.registry.authenticators
    try:
        if recognised(request, authenticators.at(path)) is None:
            raise authenticators.missing_at(path)
    except HubError as error:
        request.add_response_callback(partial(_tell_proxy, body_of(error, path, request.registry)))
        raise
    return {"admission": "granted"}


def _path_asked(request: Any) -> str:
    """The path below the hub's prefix; the hub's own where the proxy does not say."""
    prefix = request.script_name
    # Not read as a URL: what begins with two slashes is a path, too.
    path = unquote(request.headers.get(ASKED, f"{prefix}/api").partition("?")[0])
    path = "/" + path.lstrip("/")
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else "/api"


def _tell_proxy(refusal: bytes, request: Any, response: Response) -> None:  # noqa: ARG001
    if response.status_code in {401, 429}:
        response.headers[REFUSAL] = refusal.decode("ascii")
    if response.status_code == 429:
        response.status = 403
