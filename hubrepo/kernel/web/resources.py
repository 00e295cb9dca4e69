"""The tree of resources that URLs walk: its root, and how nodes hang in it.

A node is an address. It looks at the database when a view asks it to, so that a method that is not
allowed is answered before anything is looked up. KeyError is the only "no such child".
"""

from collections.abc import Callable
from typing import Any


class Resource:
    """A node: its name, its parent, the request that walks over it, and the children mounted on it."""

    def __init__(self, parent: "Resource", name: str) -> None:
        self.__parent__: Resource | None = parent
        self.__name__: str = name
        self.request: Any = parent.request

    def __getitem__(self, name: str) -> "Resource":
        return mounts_of(self.request.registry, type(self))[name](self, name)


class RootResource(Resource):
    """`/`. All it has are mounts; on a host that was claimed for one of them, that one alone."""

    def __init__(self, request: Any) -> None:
        self.__parent__ = None
        self.__name__ = ""
        self.request = request

    def __getitem__(self, name: str) -> "Resource":
        hosts = self.request.registry.hosts
        claimed = hosts.get(host_of(self.request)) if hosts else None
        if claimed not in {None, name}:
            raise KeyError(name)
        return super().__getitem__(name)


def host_of(request: Any) -> str:
    """The name of the host that was asked, in lower case, without its port."""
    return spelled_host(request.host)


def spelled_host(host: str) -> str:
    """`host`, a name with or without a port, as it is compared."""
    name, colon, port = host.rpartition(":")
    return (name if colon and (port.isdigit() or not port) else host).lower().rstrip(".")


ResourceFactory = Callable[[Any, str], Resource]


def mounts_of(registry: Any, parent: type[Resource]) -> dict[str, ResourceFactory]:
    """The children mounted on nodes of type `parent`, by name."""
    mounts: dict[str, ResourceFactory] = registry.mounts.setdefault(parent, {})
    return mounts


def add_mount(config: Any, parent: type[Resource], name: str, factory: ResourceFactory) -> None:
    """Directive: `factory(parent, name)` makes the child `name` of every `parent`.

    Two claims to one name fail at boot.
    """

    def mount() -> None:
        mounts_of(config.registry, parent)[name] = factory

    config.action(("mount", parent, name), mount)


def add_host(config: Any, host: str, name: str) -> None:
    """Directive: on `host`, with whatever port, only the child `name` of the root is there."""
    spelled = spelled_host(host)
    config.action(("host", spelled), lambda: config.registry.hosts.update({spelled: name}))
