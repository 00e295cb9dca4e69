"""The states of packages, pages and products, and the steps from one to the next."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.stress.agreement import Listed
from tests.support.process import Answer


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Step:
    """A change of a package, page or product. `key` is its Idempotency-Key, where the hub takes one."""

    kind: str
    key: str = ""
    number: int = 0
    generation: int = 0
    version: str = ""
    content: bytes = b""
    flags: frozenset[str] = frozenset()

    @property
    def headers(self) -> dict[str, str]:
        return {"Idempotency-Key": self.key} if self.key else {}


@dataclass(frozen=True)
class PackageState:
    """Versions by number, and the number of the alias `stable`, 0 without it."""

    versions: Mapping[int, Listed] = field(default_factory=dict)
    stable: int = 0

    def after(self, step: Step, seen: "PackageState") -> "PackageState":
        """Return the next state. The hash of a new version is taken from what is seen."""
        if step.kind == "alias":
            return replace(self, stable=step.number)
        if step.kind == "publish":
            number = len(self.versions) + 1
            fresh = seen.versions.get(number, Listed(number, "", tombstoned=False))
            return replace(self, versions={**self.versions, number: fresh})
        gone = replace(self.versions[step.number], tombstoned=True)
        stable = 0 if self.stable == step.number else self.stable
        return PackageState({**self.versions, step.number: gone}, stable)


@dataclass(frozen=True)
class PageState:
    """The number of the live publication, 0 without one, and the generations of all numbers."""

    live: int = 0
    generations: Mapping[int, int] = field(default_factory=dict)

    def after(self, step: Step, _seen: object = None) -> "PageState":
        if step.kind != "publish page":
            return replace(self, live=step.number)
        head = len(self.generations) + 1
        return PageState(head, {**self.generations, head: step.generation})


@dataclass(frozen=True)
class ProductState:
    """Checksums of versions, None without the product; and the flags of a holder, None without a grant."""

    versions: Mapping[str, str] | None = None
    flags: frozenset[str] | None = None

    def after(self, step: Step, _seen: object = None) -> "ProductState":
        versions = dict(self.versions or {})
        match step.kind:
            case "create":
                return ProductState({})
            case "remove":
                return ProductState()
            case "grant":
                return replace(self, flags=step.flags)
            case "revoke" | "prune":
                return replace(self, flags=None)
            case "upload":
                return replace(self, versions={**versions, step.version: checksum(step.content)})
        del versions[step.version]
        return replace(self, versions=versions)


def product_of(fetched: Answer, holder: str) -> ProductState:
    """Return the state that an answer shows; `holder` is the digest of a token."""
    if fetched.status == 404:
        return ProductState()
    assert fetched.status == 200, fetched
    flags = fetched.json["tokens"].get(holder)
    return ProductState(
        {name: each["checksum"] for name, each in fetched.json["versions"].items()},
        None if flags is None else frozenset(name for name, value in flags.items() if value),
    )
