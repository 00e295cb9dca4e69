"""The desktop client's requests, byte for byte."""

import re

import pytest

from tests.support.archives import make_zip, package_zip, read_zip
from tests.support.hub import Client

WIDGET = "/api/packages/my-widget"
BOUNDARY = "1f3c6b0e-5a0f-4e1d-9a4e-2f1f6c7a8b9d"
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

MANIFEST = """\
[package]
name = "my-widget"
title = "My widget"

[contributes]
editors = ["widget.html"]

[permissions]
network = false
"""


def dotnet_form(archive, **fields):
    """A multipart body as .NET's HttpClient writes it."""
    head = (
        f"--{BOUNDARY}\r\n"
        "Content-Type: application/zip\r\n"
        "Content-Disposition: form-data; name=file; filename=my-widget.zip; "
        "filename*=utf-8''my-widget.zip\r\n\r\n"
    )
    lines = [head, archive]
    for name, value in fields.items():
        lines.append(
            f"\r\n--{BOUNDARY}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Disposition: form-data; name={name}\r\n\r\n{value}"
        )
    lines.append(f"\r\n--{BOUNDARY}--\r\n")
    return b"".join(each if isinstance(each, bytes) else each.encode() for each in lines)


@pytest.fixture
def workbench(acme):
    """The desktop client, whose hub is below a prefix."""
    return Client(acme.hub, acme.slug, acme.key, prefix="/workshop")


def send(client, body):
    kind = f'multipart/form-data; boundary="{BOUNDARY}"'
    return client.call("POST", f"{WIDGET}/versions/", body, content_type=kind)


def publish(client, archive, **fields):
    return send(client, dotnet_form(archive, **fields))


def sends_json(client, method, path, text, status):
    kind = "application/json; charset=utf-8"
    return client.call(method, path, text.encode(), content_type=kind, status=status)


def test_a_life_of_a_package(workbench):
    archive = make_zip({"package.toml": MANIFEST, "widget.html": "<p>"})
    assert workbench.get("/api/packages/").json == []
    made = publish(workbench, archive, summary="Größer & <besser>", author="Acme")
    assert made.status_int == 201
    assert (made.json["package"], made.json["version"]) == ("my-widget", 1)
    assert (made.json["author"], made.json["summary"]) == ("Acme", "Größer & <besser>")
    assert workbench.app.get(made.json["download_url"]).status_int == 200
    publish(workbench, archive, author="Acme")

    [item] = workbench.get("/api/packages/").json
    assert (item["name"], item["versions_count"]) == ("my-widget", 2)
    assert ISO.fullmatch(item["created_at"])
    latest = item["latest_version"]
    assert (latest["version"], latest["author"]) == (2, "Acme")
    assert ISO.fullmatch(latest["date"])

    sends_json(workbench, "PUT", f"{WIDGET}/aliases/stable/", '{"version":1}', 200)
    info = workbench.get(f"{WIDGET}/").json
    assert ISO.fullmatch(info["created_at"])
    for version in info["versions"]:
        assert (version["tombstoned"], version["author"]) == (False, "Acme")
        assert re.fullmatch("sha256:[0-9a-f]{64}", version["content_hash"])
        assert "summary" in version
    aliases = {each["name"]: each["version"] for each in info["aliases"]}
    assert aliases == {"latest": 2, "stable": 1}

    stored = workbench.get(f"{WIDGET}/versions/2/download/").body
    assert workbench.get(f"{WIDGET}/latest/").body == stored
    assert read_zip(stored)["widget.html"] == b"<p>"
    stamped = MANIFEST.replace("[package]\n", "[package]\nversion = 2\n")
    assert read_zip(stored)["package.toml"].decode() == stamped
    assert workbench.get(f"{WIDGET}/versions/2/history/").text.startswith("# ")

    workbench.delete(f"{WIDGET}/aliases/stable/")
    workbench.delete(f"{WIDGET}/aliases/stable/", 404)
    for version in (1, 9):
        put = f'{{"version":{version}}}'
        sends_json(workbench, "PUT", "/api/packages/nothing/aliases/stable/", put, 404)
    reason = '{"reason":"Deleted via Celbridge."}'
    path = f"{WIDGET}/versions/2/"
    assert sends_json(workbench, "DELETE", path, reason, 200).json["tombstoned"] is True
    assert sends_json(workbench, "DELETE", path, reason, 410).json["detail"]
    workbench.get(f"{WIDGET}/versions/2/download/", 410)
    workbench.get(f"{WIDGET}/versions/3/download/", 404)
    sends_json(workbench, "DELETE", f"{WIDGET}/", reason, 204)
    sends_json(workbench, "DELETE", "/api/packages/nothing/", reason, 404)
    workbench.get(f"{WIDGET}/latest/", 404)

    versions = workbench.get(f"{WIDGET}/").json["versions"]
    assert [each["version"] for each in versions] == [2, 1]
    assert versions[1]["tombstone_reason"] == "Deleted via Celbridge."
    assert publish(workbench, archive, author="Acme").json["version"] == 3


def test_the_name_and_the_type_of_the_file_do_not_matter(workbench):
    body = dotnet_form(package_zip("my-widget")).replace(b"application/zip", b"text/x-nonsense")
    usual = b"filename=my-widget.zip; filename*=utf-8''my-widget.zip"
    for number, filename in enumerate(("my-widget.zip", '"a b.zip"', "x", '"ü.zip"', '"../x"'), 1):
        sent = body.replace(usual, b"filename=" + filename.encode())
        assert send(workbench, sent).json["version"] == number
