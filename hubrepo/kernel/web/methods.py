"""What Pyramid knows of our views, asked of its own registrations: for 405, OPTIONS and the audit."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pyramid.httpexceptions import HTTPNotFound


class RegisteredView(NamedTuple):
    """A function that answers `methods` of `name` at a `context`; who may, has the `permission`."""

    function: Callable[..., Any]
    context: type
    name: str
    methods: frozenset[str]
    permission: str | None


class Methods:
    """The methods of every view and the permission each asks for, by type of context and name."""

    def __init__(self, introspector: Any) -> None:
        self.views = list(_registered(introspector))
        self._permissions: dict[tuple[type, str], dict[str, str | None]] = {}
        for view in self.views:
            methods = self._permissions.setdefault((view.context, view.name), {})
            methods.update(dict.fromkeys(view.methods, view.permission))

    def __iter__(self) -> Iterator[tuple[type, str, str, str | None]]:
        """(context, view name, method, permission) of every view."""
        for (context, name), methods in self._permissions.items():
            for method, permission in methods.items():
                yield context, name, method, permission

    def of(self, context: type, name: str) -> set[str]:
        """The methods that the view `name` of a `context` answers, HEAD included."""
        return set().union(*(self._permissions.get((kind, name), ()) for kind in context.__mro__))

    def permission(self, request: Any) -> str | None:
        """The permission that the view of `request` asks for, when it came as far as to have one."""
        context, name = type(getattr(request, "context", None)), getattr(request, "view_name", "")
        return self._permissions.get((context, name), {}).get(request.method)


def _registered(introspector: Any) -> Iterator[RegisteredView]:
    for view in introspector.get_category("views") or ():
        known = view["introspectable"]
        if not isinstance(known["context"], type) or not known["request_methods"]:
            continue
        asked = [each["value"] for each in view["related"] if each.category_name == "permissions"]
        yield RegisteredView(
            known["callable"], known["context"], known["name"],
            _answered(known["request_methods"]), asked[0] if asked else None,
        )  # fmt: skip


def _answered(methods: str | Iterable[str]) -> frozenset[str]:
    """The methods that a view was registered for, as Pyramid understands them."""
    named = frozenset({methods} if isinstance(methods, str) else methods)
    return named | {"HEAD"} if "GET" in named else named


def exact_path(view: Any, info: Any) -> Any:
    """View deriver: a URL that goes on behind the view's name is another URL, which is not there."""

    def wrapper(context: Any, request: Any) -> Any:
        if request.subpath:
            raise HTTPNotFound
        return view(context, request)

    return view if info.exception_only else wrapper
