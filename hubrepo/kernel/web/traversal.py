"""How a URL walks the tree: one segment after the other, each meaning itself."""

import re
from abc import abstractmethod
from typing import Any

from hubrepo.kernel.base import Invalid, NotFound
from hubrepo.kernel.web.resources import Resource

_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Literal(Resource):
    """A node below which a URL is not walked: it takes the rest as it stands, decoded once."""

    @abstractmethod
    def below(self, rest: str) -> Resource:
        """The node that `rest`, which is not empty, leads to."""


def has_encoded_slash(request: Any) -> bool:
    """Whether a slash of the path was sent as `%2F`, as far as the server tells; waitress does."""
    sent: str = request.environ.get("REQUEST_URI", "")
    return "%2f" in sent.partition("?")[0].lower()


class Traverser:
    """From the root to a context, and to the name of its view.

    Pyramid's own bends `..` and doubled slashes into other paths, reads `@@` as the mark of a view's
    name, and lets a header of the client (`X-Vhm-Root`) choose where the walk begins. A trailing
    slash makes no difference.
    """

    def __init__(self, root: Resource) -> None:
        self._root = root

    def __call__(self, request: Any) -> dict[str, Any]:
        """What Pyramid asks of a traverser. Raises Invalid, NotFound, and what nodes raise."""
        node, rest = self._root, request.path_info[1:]
        while rest:
            if isinstance(node, Literal):
                return self._found(node.below(rest))
            segment, _, rest = rest.partition("/")
            _check(segment)
            try:
                node = node[segment]
            except KeyError:
                return self._found(node, segment, tuple(rest.split("/")) if rest else ())
        return self._found(node)

    def _found(
        self, context: Resource, view_name: str = "", subpath: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        return {
            "context": context,
            "view_name": view_name,
            "subpath": subpath,
            "traversed": (),
            "root": self._root,
            "virtual_root": self._root,
            "virtual_root_path": (),
        }


def _check(segment: str) -> None:
    if not segment:
        raise NotFound
    if segment in {".", ".."}:
        raise Invalid("the URL has '.' or '..' segments")
    if _CONTROL.search(segment):
        raise Invalid("the URL has control characters")
