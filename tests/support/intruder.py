"""A member of one organisation who tries to leave it, and the folders of the hub, by what paths are made of.

Around the hub's roots lie canaries: files with a secret content, and a package of another organisation.
Whatever is tried, no answer may contain the secret, and nothing that was there may change.
"""

import hashlib
import io
import secrets
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from tests.support.archives import make_zip, manifest, page_zip
from tests.support.features import HAS_ARTIFACTS
from tests.support.process import BOUNDARY, FORM_TYPE, Answer, HubProcess, Wire
from tests.support.traversal import decoded
from tests.support.views import PLACES

# What an answer can be that is none of the hub's faults.
LARGEST = 200_000
# Where errors are artifacts' own.
OWN_ERRORS = ("/product/", "/fetch/", "/prune/") if HAS_ARTIFACTS else ()
Methods = Iterable[tuple[type, str, str, str | None]]


@dataclass(frozen=True, order=True)
class Hole:
    """A place in a URL where a string of the client's choosing goes."""

    method: str
    before: str
    after: str

    def filled(self, string: str) -> str:
        """The URL."""
        return f"{self.before}{string}{self.after}"


def holes(methods: Methods) -> list[Hole]:
    """Every parameter in the URL of every view, with each method that it answers."""
    found = set()
    paths = [
        (method, prefix + PLACES[context].path + (f"/{name}" if name else ""))
        for context, name, method, _ in methods
        for prefix in PLACES[context].prefixes
    ]
    for method, path in paths:
        there = path.format(slug="intruder", name="docs" if "/pages/" in path else "widget")
        segments = list(zip(path.split("/"), there.split("/"), strict=True))
        for at, (segment, _) in enumerate(segments):
            if "{" in segment or segment.isdigit() or segment in {"stable", "v1"}:
                before = "/".join(text for _, text in segments[:at])
                after = "".join(f"/{text}" for _, text in segments[at + 1 :])
                found.add(Hole(method, f"{before}/", after))
    return sorted(found)


def beginnings(methods: Methods) -> list[str]:
    """What goes before every parameter, and where the tree begins."""
    return sorted({each.before for each in holes(methods)} | {"/", "/api/", "/_ah/"})


def contents(folder: Path) -> dict[Path, str]:
    """All files below a folder, by the digest of what is in them."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass
class Intruder:
    """Runs a hub in `folder` while its `with` block does, with canaries around, and tries."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    secret: str = field(default_factory=lambda: f"canary-{secrets.token_hex(16)}")
    _numbers: Iterator[int] = field(default_factory=count)

    def __enter__(self) -> Self:
        self.hub = HubProcess(self.folder / "hub", self.settings, workers=self.workers)
        self.hub.start()
        command = ("bootstrap-org", "--name", "Intruder", "--slug", "intruder", "--quiet")
        self.key = self.hub.command(*command)
        self._prepare_owner()
        others = set(self.hub.blobs.iterdir())
        self.token = self._new_token("intruder") if HAS_ARTIFACTS else None
        with self.wire() as wire:
            self._prepare_own(wire)
        (self.own_folder,) = set(self.hub.blobs.iterdir()) - others
        self._place_canaries()
        self._before = self._outside()
        return self

    def __exit__(self, *_: object) -> None:
        self.hub.stop()

    def _new_token(self, slug: str) -> str:
        return self.hub.command("issue-artifact-token", "--org", slug, "--admin")

    def _prepare_owner(self) -> None:
        """Another organisation's package and product, whose blobs lie below the same root; not deflated."""
        members = {"package.toml": manifest("owned"), "secret.txt": self.secret}
        with self.hub.wire() as wire:
            assert wire.publish("owned", make_zip(members, zipfile.ZIP_STORED)).status == 201
            slug = wire.ask("GET", "/api/organisation").json["slug"]
        if not HAS_ARTIFACTS:
            return
        self.owner_token = self._new_token(slug)
        with Wire(self.hub.port, token=self.owner_token) as wire:
            self._prepare_product(wire, "owned", self.secret.encode())

    @staticmethod
    def _prepare_product(wire: Wire, name: str, content: bytes) -> None:
        assert wire.ask_json("PUT", "/product/create", {"name": name}).status == 201
        body = form(content, product=name, version="v1")
        sent = {"Content-Type": FORM_TYPE}
        assert wire.ask("POST", "/product/upload", body, sent).status == 201

    def _prepare_own(self, wire: Wire) -> None:
        archive = make_zip({"package.toml": manifest("widget")})
        assert wire.publish("widget", archive).status == 201
        assert wire.publish_page(page_zip("docs")).status == 201
        stable = "/api/packages/widget/aliases/stable"
        assert wire.ask_json("PUT", stable, {"version": 1}).status == 200
        if HAS_ARTIFACTS:
            self._prepare_product(wire, "widget", b"an artifact")

    def _place_canaries(self) -> None:
        roots = (self.folder, self.hub.folder, self.hub.folder / "var", self.hub.blobs)
        siblings = (
            Path(f"{self.hub.blobs}-secret"),
            self.folder / "etc",
            self.hub.folder / "var.old",
        )
        for each in (*roots, *siblings):
            each.mkdir(exist_ok=True)
            (each / "canary.txt").write_text(self.secret)

    def _outside(self) -> dict[Path, str]:
        """All that the intruder may not change; what the hub itself writes is not among it."""
        known = contents(self.folder)
        mine = (self.own_folder, self.hub.blobs / ".stage")
        return {
            path: digest
            for path, digest in known.items()
            if not any(path.is_relative_to(each) for each in mine)
            and not path.name.startswith(("hub.sqlite", "hub.log"))
        }

    def check_outside(self) -> None:
        """Nothing was written where the intruder has nothing to say, and no stage is left."""
        assert self._outside() == self._before
        assert list((self.hub.blobs / ".stage").iterdir()) == []

    def wire(self) -> Wire:
        """A connection with the intruder's own key and token."""
        return Wire(self.hub.port, self.key, token=self.token)

    def check(self, answer: Answer, what: object) -> None:
        """An answer within bounds, which does not tell the secret."""
        assert answer.status < 500, (what, answer)
        assert self.secret.encode() not in answer.body, what
        assert b"root:x:0:0" not in answer.body, what
        assert b"[app:main]" not in answer.body, what
        assert len(answer.body) < LARGEST, what
        assert all(self.secret not in text for text in answer.headers.values()), what

    def visit(self, wire: Wire, method: str, url: str) -> int:
        """The status of one request, checked."""
        answer = wire.ask(method, url)
        self.check(answer, (method, url))
        if answer.status >= 400 and method != "HEAD" and url.startswith(("/api/", *OWN_ERRORS)):
            self._check_error(answer, url)
        return answer.status

    @staticmethod
    def _check_error(answer: Answer, url: str) -> None:
        """A sentence for people, where the surface has it. What never came so far the door has refused."""
        is_artifact = unquote(url).removeprefix("/api").startswith(OWN_ERRORS)
        names = ["error"] if is_artifact else ["detail"]
        if answer.is_ending:
            names = ["error", "detail"]
        assert any(isinstance(answer.json.get(each), str) for each in names), (url, answer)

    def upload(self, wire: Wire, path: str, body: bytes, what: object) -> int:
        """The status of one upload, checked."""
        answer = wire.ask("POST", path, body, {"Content-Type": FORM_TYPE})
        self.check(answer, what)
        assert answer.status in {201, 400, 404, 409, 413, 422}, (what, answer)
        return answer.status

    def wish(self, wire: Wire, method: str, url: str, **value: object) -> int:
        """The status of one request to artifacts, checked."""
        answer = wire.ask_json(method, url, value)
        self.check(answer, (url, value))
        if answer.status >= 400:
            self._check_error(answer, url)
        assert answer.status in {200, 201, 204, 400, 404, 409}, (url, value, answer)
        return answer.status

    def uploads(self, wire: Wire, string: str) -> Iterator[int]:
        """The string wherever a body tells a path or a name: fields, file names, members, manifests."""
        text = decoded(string)
        harmless = {"index.html": "<h1>x</h1>"}
        yield self.upload(
            wire, "/api/pages", form(page_zip(None, harmless), text, path=text), string
        )
        whole = with_member(text, self.secret[::-1], {"pages.toml": '[publish]\npath = "docs"\n'})
        yield self.upload(wire, "/api/pages", form(whole), string)
        whole = with_member(text, self.secret[::-1], {"package.toml": manifest("widget")})
        versions = "/api/packages/widget/versions"
        # The head that it names is never reached: nothing piles up.
        yield self.upload(wire, versions, form(whole, text, parent_version="999999"), string)
        named = make_zip({"package.toml": manifest_of(text)})
        yield self.upload(
            wire, versions, form(named, parent_version="999999", forked_from=text), string
        )
        yield wire.ask_json("POST", "/api/packages", {"name": text}).status
        if HAS_ARTIFACTS:
            yield from self._artifacts(wire, text, string)

    def _artifacts(self, wire: Wire, text: str, string: str) -> Iterator[int]:
        """The string as a product, a version, a file, a checksum and a token."""
        path, there = "/product/upload", {"product": "widget", "version": f"w{next(self._numbers)}"}
        for fields in ({"product": text}, {"version": text}, {"checksum": text}):
            whole = form(self.secret[::-1].encode(), **(there | fields))
            yield self.upload(wire, path, whole, (string, fields))
        yield self.upload(wire, path, form(self.secret[::-1].encode(), text, **there), string)
        yield self.wish(wire, "PUT", "/product/create", name=text)
        for action in ("addToken", "deleteToken", "deleteVersion"):
            method = "PUT" if action == "addToken" else "DELETE"
            for fields in ({"product": text}, {"token": text}, {"version": text}):
                wish = {"product": "widget", "token": text, "version": "none", **fields}
                at = f"/api/product/modify/{action}"
                yield self.wish(wire, method, at, permissions={"upload": True}, **wish)


def manifest_of(name: str) -> str:
    """A manifest whose name is any text."""
    quoted = "".join(f"\\U{ord(each):08x}" for each in name)
    return f'[package]\nname = "{quoted}"\nauthor = "ann"\n'


def with_member(name: str, content: str, members: Mapping[str, str]) -> bytes:
    """An archive with one member whose name is any text at all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, text in members.items():
            if each != name:
                archive.writestr(each, text)
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, content)
    return buffer.getvalue()


def form(archive: bytes, filename: str = "x.zip", **fields: str) -> bytes:
    """A form whose texts and file name are written as they are."""
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()
        for name, text in fields.items()
    ]
    head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    parts.append(head.encode() + archive)
    edge = f"--{BOUNDARY}".encode()
    return b"".join(edge + b"\r\n" + each + b"\r\n" for each in parts) + edge + b"--\r\n"
