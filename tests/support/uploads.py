"""A connection with a token for artifacts: what its holder sends to a hub in a process of its own."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from tests.support.process import FORM_TYPE, Answer, HubProcess, Wire, around_file

MIB = 1024 * 1024
FORM = {"Content-Type": FORM_TYPE}


def first_admin(hub: HubProcess) -> str:
    """An admin token of the hub's organisation, as its operator gets it."""
    return hub.command("issue-artifact-token", "--org", "acme", "--admin", "--force")


class TokenWire(Wire):
    """One connection whose requests carry a token."""

    def __init__(self, port: int, token: str, timeout: float = 30) -> None:
        super().__init__(port, timeout=timeout, token=token)

    def begin(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Send a request whose answer, or the rest of whose body, is somebody else's affair."""
        if self.is_ending:
            self.close()
            self._connect()
        self.socket.sendall(self.head(method, path, headers) + body)

    def send(self, method: str, path: str, value: object) -> Answer:
        """A request with a JSON body."""
        return self.ask(method, path, json.dumps(value).encode())

    def register(self) -> str:
        """A new token, which may do nothing yet."""
        answer = self.send("PUT", "/register", {})
        assert answer.status == 201, answer
        return answer.body.decode()

    def create(self, product: str) -> Answer:
        """A new product."""
        return self.send("PUT", "/product/create", {"name": product})

    def upload(self, product: str, version: str, content: bytes) -> Answer:
        """A new version."""
        return self.ask("POST", "/product/upload", form(product, version, content), FORM)

    def upload_file(self, product: str, version: str, path: Path) -> Answer:
        """A new version of what lies at `path`, which is never whole in memory."""
        before, after = around_file(path.name, product=product, version=version)
        length = str(len(before) + path.stat().st_size + len(after))
        self.begin("POST", "/product/upload", {**FORM, "Content-Length": length}, before)
        with path.open("rb") as file:
            self.socket.sendfile(file)
        self.socket.sendall(after)
        answer = self.receive("POST")
        assert answer.status == 201, answer
        return answer

    def download(self, product: str, version: str) -> Answer:
        """The bytes of a version."""
        return self.ask("GET", f"/product/download/{product}/{version}")

    def checksum(self, product: str, version: str) -> str:
        """The checksum of what the hub sends as a version, of which nothing is kept."""
        self.begin("GET", f"/product/download/{product}/{version}")
        status, headers = self.receive_head()
        assert status == 200, headers
        digest, left = hashlib.sha256(), int(headers["content-length"])
        while left:
            piece = self.reader.read(min(MIB, left))
            assert piece, f"{left} bytes are missing"
            left -= len(piece)
            digest.update(piece)
        return f"sha256:{digest.hexdigest()}"


def form(product: str, version: str, content: bytes) -> bytes:
    """An upload's body."""
    before, after = around_file("artifact.bin", product=product, version=version)
    return before + content + after
