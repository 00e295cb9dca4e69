"""Words of the contract that several of its tests need."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from webtest import TestResponse

from tests.support.hub import Client, Hub

NO_PACKAGE = "No Package matches the given query."
NO_VERSION = "No PackageVersion matches the given query."

VERSION_FIELDS = [
    *("package", "version", "author", "date", "summary", "description", "content_hash"),
    *("download_url", "tombstoned", "tombstone_reason", "forked_from"),
]

# (method, path) of every packages endpoint; `{}` is a package's name.
ENDPOINTS = [
    (method, path)
    for methods, path in (
        ("GET POST", "/api/packages"),
        ("GET DELETE", "/api/packages/{}"),
        ("GET POST", "/api/packages/{}/versions"),
        ("GET DELETE", "/api/packages/{}/versions/1"),
        ("GET", "/api/packages/{}/versions/1/download"),
        ("GET", "/api/packages/{}/versions/1/history"),
        ("GET", "/api/packages/{}/latest"),
        ("GET", "/api/packages/{}/history"),
        ("GET", "/api/packages/{}/log"),
        ("GET", "/api/packages/{}/aliases"),
        ("GET PUT DELETE", "/api/packages/{}/aliases/stable"),
        ("GET", "/api/packages/{}/aliases/stable/download"),
    )
    for method in methods.split()
]
Part = tuple[Mapping[str, str], bytes]

READS = [path for method, path in ENDPOINTS if method == "GET"]


def assert_refused(response: TestResponse, status: int, text: str, **fields: object) -> None:
    """The answer is `{"detail": text, **fields}` and nothing else."""
    assert (response.status_int, response.json) == (status, {"detail": text, **fields})
    assert response.headers["Content-Type"] == "application/json"


def same_answer(response: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer that may not differ between two identical requests."""
    apart = {"X-Request-Id", "Date"}
    if "no-store" in response.headers.get("Cache-Control", ""):
        # Of what nobody may keep both are the moment it was made.
        apart |= {"Expires", "Last-Modified"}
    headers = [each for each in response.headerlist if each[0] not in apart]
    return response.status_int, headers, response.body


def multipart(parts: Iterable[Part], boundary: str = "frontier") -> bytes:
    """A multipart body whose parts have exactly these headers."""
    pieces = []
    for headers, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        pieces.append(f"--{boundary}\r\n{lines}\r\n".encode() + content + b"\r\n")
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


FORM = "multipart/form-data; boundary=frontier"


def post_form(client: Client, path: str, parts: Iterable[Part], **options: Any) -> TestResponse:
    """POST a multipart body whose parts have exactly these headers."""
    return client.call("POST", path, multipart(parts), content_type=FORM, **options)


def text_part(name: str, value: bytes | str) -> tuple[dict[str, str], bytes]:
    """A text field of a multipart form."""
    content = value.encode() if isinstance(value, str) else value
    return {"Content-Disposition": f'form-data; name="{name}"'}, content


def file_part(
    content: bytes, name: str = "file", filename: str = "x.zip"
) -> tuple[dict[str, str], bytes]:
    """A file of a multipart form."""
    disposition = f'form-data; name="{name}"; filename="{filename}"'
    return {"Content-Disposition": disposition, "Content-Type": "application/zip"}, content


@contextmanager
def statements(hub: Hub) -> Iterator[list[str]]:
    """The SQL that the hub runs meanwhile, and not what was still to be written of before."""
    hub.registry.afterwards.settle()
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = hub.registry.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
