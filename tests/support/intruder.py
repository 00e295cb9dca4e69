"""A member of one organisation who tries to leave it, and the folders of the hub, by what paths are made of.

Around the hub's folders lie canaries: files with a secret content, and a package and a product of another
organisation. No answer may contain the secret, and nothing that was there may change.
"""

import hashlib
import json
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import unquote_to_bytes

from webob import Request, Response

from tests.support.archives import make_zip, manifest, page_zip
from tests.support.contract import multipart, text_part
from tests.support.features import HAS_ARTIFACTS
from tests.support.hub import Client, Hub
from tests.support.traversal import decoded
from tests.support.views import PLACES

LARGEST = 200_000
FORM, JSON = "multipart/form-data; boundary=frontier", "application/json"


@dataclass(frozen=True, order=True)
class Hole:
    """A place in a URL where a string of the client's choosing goes."""

    method: str
    before: str
    after: str


def holes(hub: Hub) -> list[Hole]:
    """Every parameter in the URL of every view, with each method that it answers."""
    found = set()
    for context, name, method, _ in hub.registry.methods:
        for prefix in PLACES[context].prefixes:
            path = prefix + PLACES[context].path + (f"/{name}" if name else "")
            there = path.format(slug="intruder", name="docs" if "/pages/" in path else "widget")
            segments = there.split("/")
            for at, segment in enumerate(path.split("/")):
                if "{" in segment or segment.isdigit() or segment in {"stable", "v1"}:
                    after = "".join(f"/{each}" for each in segments[at + 1 :])
                    found.add(Hole(method, "/".join([*segments[:at], ""]), after))
    return sorted(found)


class Intruder:
    """A hub below `folder` with canaries around it, and all that an intruder may ask there."""

    def __init__(self, folder: Path) -> None:
        self.secret = f"canary-{secrets.token_hex(16)}"
        self.folder, self.hub = folder, Hub.below(folder / "hub")
        self.blobs = folder / "hub" / "blobs"
        self._numbers = count()
        self.owner = self.hub.organisation()
        members = {"package.toml": manifest("owned"), "secret.txt": self.secret}
        self.owner.publish("owned", make_zip(members, zipfile.ZIP_STORED))
        others = set(self.blobs.iterdir())
        self.client = self.hub.organisation()
        self.client.publish("widget")
        self.client.publish_page("docs")
        self.client.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 1})
        if HAS_ARTIFACTS:
            for name, client in (("owned", self.owner), ("widget", self.client)):
                client.artifacts.create(name)
                content = self.secret if name == "owned" else "an artifact"
                client.artifacts.put(name, "v1", content.encode())
        self._stage = self.blobs / ".stage"
        (self._own_folder,) = set(self.blobs.iterdir()) - others
        siblings = (Path(f"{self.blobs}-secret"), folder / "etc", folder / "hub.old")
        for each in (folder, folder / "hub", self.blobs, *siblings):
            each.mkdir(exist_ok=True)
            (each / "canary.txt").write_text(self.secret)
        self._before = self._outside()

    def _outside(self) -> dict[Path, str]:
        """All files that the intruder may not change; the rows of the hub are not among them."""
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*")
            if path.is_file()
            and not any(path.is_relative_to(each) for each in (self._own_folder, self._stage))
            and not path.name.startswith("hub.sqlite")
        }

    def check_outside(self) -> None:
        """Nothing was written where the intruder has nothing to say, and no stage is left."""
        assert self._outside() == self._before
        assert list(self._stage.iterdir()) == []

    def ask(
        self, method: str, url: str, body: bytes = b"", kind: str = "", by: Client | None = None
    ) -> Response:
        """The answer to a request whose target is sent as it stands, checked."""
        path, _, query = url.partition("?")
        environ = {
            **(by or self.client).credentials,
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_URI": url,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": kind,
        }
        request = Request.blank("/", environ=environ, method=method, body=body)
        answer = request.get_response(self.hub.wsgi)
        self.check(answer, (method, url, body[:500]))
        return answer

    def check(self, answer: Response, what: object) -> None:
        """An answer within bounds, which does not tell the secret."""
        assert answer.status_int < 500, (what, answer.body)
        assert len(answer.body) < LARGEST, what
        for each in (self.secret.encode(), b"root:x:0:0", b"[app:main]"):
            assert each not in answer.body + repr(answer.headerlist).encode(), what

    def visit(self, hole: Hole, string: str) -> int:
        """The status of a request whose URL has the string there."""
        return self.ask(hole.method, f"{hole.before}{string}{hole.after}").status_int

    def uploads(self, string: str) -> Iterator[int]:
        """The statuses of requests whose bodies have the string wherever they tell a path or a name."""
        text, versions = decoded(string), "/api/packages/widget/versions"
        page, junk = page_zip(None, {"index.html": "<h1>x</h1>"}), self.secret[::-1].encode()
        quoted = "".join(f"\\U{ord(each):08x}" for each in text)
        named = make_zip({"package.toml": f'[package]\nname = "{quoted}"\nauthor = "ann"\n'})
        sent = [
            ("POST", "/api/pages", form(page, text, path=text)),
            # The head that it names is never reached: nothing piles up.
            ("POST", versions, form(named, text, parent_version="999999", forked_from=text)),
            ("POST", "/api/packages", {"name": text}),
        ]
        if HAS_ARTIFACTS:
            there = {"product": "widget", "version": f"w{next(self._numbers)}"}
            for field in ("product", "version", "checksum"):
                sent += [("POST", "/product/upload", form(junk, text, **{**there, field: text}))]
            for field in ("product", "token", "version"):
                value = {"product": "widget", "token": text, "version": "none", field: text}
                value |= {"permissions": {"upload": True}}
                sent += [("PUT", "/api/product/modify/addToken", value)]
                sent += [
                    ("DELETE", f"/api/product/modify/delete{each}", value)
                    for each in ("Token", "Version")
                ]
            sent += [("PUT", "/product/create", {"name": text})]
        for method, path, body in sent:
            is_form = isinstance(body, bytes)
            content = body if is_form else json.dumps(body).encode()
            answer = self.ask(method, path, content, FORM if is_form else JSON)
            assert answer.status_int in {200, 201, 204, 400, 404, 409, 413, 422}, answer.body
            yield answer.status_int


def form(archive: bytes, filename: str = "x.zip", **fields: str) -> bytes:
    """A form whose texts and file name are written as they are."""
    file = {"Content-Disposition": f'form-data; name="file"; filename="{filename}"'}
    return multipart([*(text_part(name, text) for name, text in fields.items()), (file, archive)])
