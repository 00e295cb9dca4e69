"""A model of an organisation, as simple as possible, which the answers of a hub are compared with.

Each act returns the status that the hub must answer. Of bytes the model has only digests.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

LATEST = "latest"
FLAGS = frozenset({"maintainer", "download", "upload", "delete"})

Origin = tuple[str, int]


@dataclass
class Version:
    """`reason` is why it was tombstoned; None while it is live."""

    number: int
    digest: str
    size: int
    origin: Origin | None
    reason: str | None = None

    @property
    def is_live(self) -> bool:
        return self.reason is None


@dataclass
class Package:
    """`versions` are in the order of their numbers, which have no gaps."""

    versions: list[Version] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    is_archived: bool = False

    def version(self, number: int) -> Version | None:
        return self.versions[number - 1] if 0 < number <= len(self.versions) else None

    def tombstone(self, version: Version, reason: str) -> None:
        version.reason = reason
        self.aliases = {name: at for name, at in self.aliases.items() if at != version.number}
        live = [each.number for each in self.versions if each.is_live]
        if live:
            self.aliases[LATEST] = max(live)


@dataclass
class Publication:
    """`retired_at` is None while it is live."""

    number: int
    digest: str
    size: int
    text: str
    retired_at: datetime | None = None


@dataclass
class Page:
    """`kept` are the publications that are not forgotten, by number."""

    head: int = 0
    kept: dict[int, Publication] = field(default_factory=dict)

    @property
    def live(self) -> Publication | None:
        return next((each for each in self.kept.values() if each.retired_at is None), None)


@dataclass
class Key:
    plain: str
    scopes: frozenset[str]
    user: str | None
    expires_at: datetime | None
    is_revoked: bool = False

    @property
    def hint(self) -> str:
        return self.plain[: len("kpf_00000000")]

    def may(self, role: str) -> bool:
        return not self.scopes or role in self.scopes


@dataclass
class Token:
    plain: str
    is_admin: bool
    is_pruned: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.plain.encode()).hexdigest()


@dataclass
class Product:
    """The flags of tokens, by their digests; digest and size of each version, by its identifier."""

    grants: dict[str, frozenset[str]] = field(default_factory=dict)
    versions: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass
class Organisation:
    """All that one organisation has. Of retired publications it keeps `keep` for each page."""

    keep: int
    packages: dict[str, Package] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    tokens: dict[str, Token] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)

    def register(self, name: str) -> int:
        is_new = name not in self.packages
        self.packages.setdefault(name, Package())
        return 201 if is_new else 409

    def may_publish(self, name: str, declared: Origin | None) -> int:
        if declared is None:
            return 201
        is_there = self.version(*declared) is not None
        return 201 if name not in self.packages and is_there and declared[0] != name else 400

    def publish(self, name: str, digest: str, size: int, origin: Origin | None) -> Version:
        package = self.packages.setdefault(name, Package())
        version = Version(len(package.versions) + 1, digest, size, origin)
        package.versions.append(version)
        package.aliases[LATEST], package.is_archived = version.number, False
        return version

    def version(self, name: str, number: int) -> Version | None:
        return self.packages.get(name, Package()).version(number)

    def at_alias(self, name: str, alias: str) -> Version | None:
        package = self.packages.get(name, Package())
        return package.version(package.aliases.get(alias, 0))

    def tombstone(self, name: str, number: int, reason: str) -> int:
        version = self.version(name, number)
        if version is None or not version.is_live:
            return 404 if version is None else 410
        self.packages[name].tombstone(version, reason)
        return 200

    def delete(self, name: str, reason: str) -> int:
        if name not in self.packages:
            return 404
        package = self.packages[name]
        for version in package.versions:
            if version.is_live:
                package.tombstone(version, reason)
        package.is_archived = True
        return 204

    def set_alias(self, name: str, alias: str, number: int) -> int:
        version = self.version(name, number)
        if version is None or not version.is_live:
            return 404 if version is None else 409
        self.packages[name].aliases[alias] = number
        return 200

    def remove_alias(self, name: str, alias: str) -> int:
        if self.at_alias(name, alias) is None:
            return 404
        del self.packages[name].aliases[alias]
        return 204

    def history(self, name: str) -> Iterator[tuple[int, bool]]:
        """Yield the number of each version in HISTORY.md, in its order, and True if it is live."""
        shown: set[str] = set()
        origin: Origin | None = (name, len(self.packages[name].versions))
        while origin is not None and origin[0] not in shown:
            versions = self.packages[origin[0]].versions[: origin[1]]
            shown.add(origin[0])
            yield from ((each.number, each.is_live) for each in reversed(versions))
            origin = versions[0].origin if versions else None

    def live_pages(self) -> Mapping[str, Publication]:
        return {path: page.live for path, page in self.pages.items() if page.live is not None}

    def is_free(self, path: str) -> bool:
        """True if the page is live, or overlaps no live one."""
        live, mine = self.live_pages(), f"{path}/"
        others = (f"{other}/" for other in live)
        overlaps = (mine.startswith(each) or each.startswith(mine) for each in others)
        return path in live or not any(overlaps)

    def publish_page(self, path: str, digest: str, size: int, text: str, now: datetime) -> int:
        if not self.is_free(path):
            return 409
        page = self.pages.setdefault(path, Page())
        page.head += 1
        self._retire(page, now)
        page.kept[page.head] = Publication(page.head, digest, size, text)
        self._forget_surplus(page)
        return 201

    def roll_back(self, path: str, number: int, now: datetime) -> int:
        publication = self.pages.get(path, Page()).kept.get(number)
        if publication is None or not self.is_free(path):
            return 404 if publication is None else 409
        if publication.retired_at is not None:
            self._retire(self.pages[path], now)
            publication.retired_at = None
        return 200

    def unpublish(self, path: str, now: datetime) -> int:
        if path not in self.live_pages():
            return 404
        self._retire(self.pages[path], now)
        return 204

    def forget(self, path: str, number: int) -> int:
        publication = self.pages.get(path, Page()).kept.get(number)
        if publication is None or publication.retired_at is None:
            return 404 if publication is None else 409
        del self.pages[path].kept[number]
        return 204

    def collect(self) -> None:
        """Forget what `hubrepo gc` forgets."""
        for page in self.pages.values():
            self._forget_surplus(page)

    @staticmethod
    def _retire(page: Page, now: datetime) -> None:
        if page.live is not None:
            page.live.retired_at = now

    def _forget_surplus(self, page: Page) -> None:
        kept = page.kept.values()
        retired = sorted((each.retired_at, each.number) for each in kept if each.retired_at)
        for _, number in retired[: max(0, len(retired) - self.keep)]:
            del page.kept[number]

    def add_token(self, plain: str, *, is_admin: bool) -> Token:
        token = Token(plain, is_admin)
        self.tokens[token.digest] = token
        return token

    def has_token(self, digest: str) -> bool:
        return digest in self.tokens and not self.tokens[digest].is_pruned

    def prune(self, digest: str) -> int:
        if not self.has_token(digest):
            return 404
        self.tokens[digest].is_pruned = True
        for product in self.products.values():
            product.grants.pop(digest, None)
        return 204

    def accessible(self, token: Token) -> list[str]:
        products = self.products.items()
        return sorted(n for n, each in products if token.is_admin or token.digest in each.grants)

    def refusal(self, token: Token, name: str, *flags: str) -> int | None:
        """Return the status if a token has none of these flags for a product; without flags: no grant."""
        if token.is_pruned or name not in self.products:
            return 401 if token.is_pruned else 404
        grant = self.products[name].grants.get(token.digest)
        is_granted = grant is not None and (not flags or not grant.isdisjoint(flags))
        return None if token.is_admin or is_granted else 403

    def create_product(self, token: Token, name: str) -> int:
        if token.is_pruned or name in self.products:
            return 401 if token.is_pruned else 409
        self.products[name] = Product({token.digest: FLAGS})
        return 201

    def grant(self, token: Token, name: str, digest: str, flags: Collection[str]) -> int:
        refusal = self.refusal(token, name, "maintainer")
        if refusal or not self.has_token(digest):
            return refusal or 404
        self.products[name].grants[digest] = frozenset(flags)
        return 201

    def remove_grant(self, token: Token, name: str, digest: str) -> int:
        refusal = self.refusal(token, name, "maintainer")
        return refusal or (204 if self.products[name].grants.pop(digest, None) is not None else 404)

    def upload(self, token: Token, name: str, version: str, digest: str, size: int) -> int:
        refusal = self.refusal(token, name, "upload")
        if refusal or version in self.products[name].versions:
            return refusal or 409
        self.products[name].versions[version] = digest, size
        return 201

    def delete_version(self, token: Token, name: str, version: str, *flags: str) -> int:
        refusal = self.refusal(token, name, *flags)
        return refusal or (200 if self.products[name].versions.pop(version, None) else 404)

    def delete_product(self, token: Token, name: str) -> int:
        refusal = self.refusal(token, name, "maintainer")
        return refusal or (self.products.pop(name) and 204)

    def is_good(self, key: Key, now: datetime) -> bool:
        has_lapsed = key.is_revoked or (key.expires_at is not None and key.expires_at <= now)
        return not has_lapsed and (key.user is None or key.user in self.members)

    def revoke(self, hint: str) -> int:
        if hint not in self.keys:
            return 404
        self.keys[hint].is_revoked = True
        return 204

    def remove_member(self, name: str) -> int:
        if name not in self.members:
            return 404
        self.members.remove(name)
        return 204

    @property
    def stored_bytes(self) -> int:
        versions = (each for package in self.packages.values() for each in package.versions)
        kept = (each for page in self.pages.values() for each in page.kept.values())
        sizes = {each.digest: each.size for each in versions if each.is_live}
        sizes |= {each.digest: each.size for each in kept}
        for product in self.products.values():
            sizes |= dict(product.versions.values())
        return sum(sizes.values())
