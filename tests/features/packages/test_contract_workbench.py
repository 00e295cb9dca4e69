"""The desktop client's requests, byte for byte."""

import json
import re

import pytest

from tests.support.archives import make_zip, package_zip, read_zip
from tests.support.hub import Client

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


@pytest.fixture(params=["", "/workshop"])
def workbench(request, acme):
    """The desktop client, at the root and below a prefix."""
    return Client(acme.hub, acme.slug, acme.key, prefix=request.param)


def publish(client, archive, **fields):
    return client.call(
        "POST",
        "/api/packages/my-widget/versions/",
        dotnet_form(archive, **fields),
        content_type=f'multipart/form-data; boundary="{BOUNDARY}"',
    )


def sends_json(client, method, path, text, status):
    return client.call(
        method,
        path,
        text.encode(),
        content_type="application/json; charset=utf-8",
        status=status,
    )


class TestCalls:
    def test_a_life_of_a_package(self, workbench):
        archive = make_zip({"package.toml": MANIFEST, "widget.html": "<p>"})
        assert workbench.get("/api/packages/").json == []
        made = publish(workbench, archive, summary="Größer & <besser>", author="Acme")
        assert made.status_int == 201
        assert made.json["package"] == "my-widget"
        assert (made.json["version"], made.json["author"]) == (1, "Acme")
        assert made.json["summary"] == "Größer & <besser>"
        assert workbench.app.get(made.json["download_url"]).status_int == 200
        publish(workbench, archive, author="Acme")

        [item] = workbench.get("/api/packages/").json
        assert (item["name"], item["versions_count"]) == ("my-widget", 2)
        assert ISO.fullmatch(item["created_at"])
        assert item["latest_version"]["version"] == 2
        assert item["latest_version"]["author"] == "Acme"
        assert ISO.fullmatch(item["latest_version"]["date"])

        put = '{"version":1}'
        sends_json(workbench, "PUT", "/api/packages/my-widget/aliases/stable/", put, 200)
        info = workbench.get("/api/packages/my-widget/").json
        assert ISO.fullmatch(info["created_at"])
        for version in info["versions"]:
            assert isinstance(version["tombstoned"], bool)
            assert re.fullmatch("sha256:[0-9a-f]{64}", version["content_hash"])
            assert version["author"] == "Acme"
            assert "summary" in version
        assert [(a["name"], a["version"]) for a in info["aliases"]] == [
            ("latest", 2),
            ("stable", 1),
        ]

        stored = workbench.get("/api/packages/my-widget/versions/2/download/").body
        assert workbench.get("/api/packages/my-widget/latest/").body == stored
        assert read_zip(stored)["widget.html"] == b"<p>"
        assert workbench.get("/api/packages/my-widget/versions/2/history/").text.startswith("# ")

        workbench.delete("/api/packages/my-widget/aliases/stable/")
        workbench.delete("/api/packages/my-widget/aliases/stable/", 404)
        reason = '{"reason":"Deleted via Celbridge."}'
        path = "/api/packages/my-widget/versions/2/"
        assert sends_json(workbench, "DELETE", path, reason, 200).json["tombstoned"] is True
        assert sends_json(workbench, "DELETE", path, reason, 410).json["detail"]
        workbench.get("/api/packages/my-widget/versions/2/download/", 410)
        workbench.get("/api/packages/my-widget/versions/3/download/", 404)
        sends_json(workbench, "DELETE", "/api/packages/my-widget/", reason, 204)
        sends_json(workbench, "DELETE", "/api/packages/nothing/", reason, 404)
        workbench.get("/api/packages/my-widget/latest/", 404)

        versions = workbench.get("/api/packages/my-widget/").json["versions"]
        assert [each["version"] for each in versions] == [2, 1]
        assert versions[1]["tombstone_reason"] == "Deleted via Celbridge."
        assert publish(workbench, archive, author="Acme").json["version"] == 3

    def test_nothing_is_answered_by_a_redirect(self, workbench):
        publish(workbench, package_zip("my-widget"))
        for path in ("", "my-widget/", "my-widget/versions/1/download/", "my-widget/latest/"):
            assert workbench.get(f"/api/packages/{path}").status_int == 200
            assert workbench.get(f"/api/packages/{path}".rstrip("/")).status_int == 200

    def test_a_bad_key_is_401(self, workbench):
        workbench.key = workbench.key[:-4] + "0000"
        workbench.__post_init__()
        assert workbench.get("/api/packages/", 401).json == {"detail": "invalid API key"}

    @pytest.mark.parametrize("body", ['{"version":9}', '{"version":1}'])
    def test_an_alias_of_what_is_not_there_is_404(self, workbench, body):
        sends_json(workbench, "PUT", "/api/packages/nothing/aliases/stable/", body, 404)


class TestPublish:
    def test_an_author_in_the_manifest_goes_before_the_field(self, workbench):
        made = publish(workbench, package_zip("my-widget", "ann"), author="Acme")
        assert made.json["author"] == "ann"

    def test_no_author_anywhere_is_the_clear_message(self, workbench):
        made = publish(workbench, package_zip("my-widget", None))
        assert (made.status_int, json.loads(made.body)["detail"]) == (
            400,
            "invalid package - missing `[package] 'author' property` in package.toml` file",
        )

    def test_a_path_field_changes_nothing(self, workbench):
        made = publish(workbench, package_zip("my-widget"), path="some/where", author="x")
        assert (made.status_int, made.json["author"]) == (201, "ann")

    def test_a_manifest_of_windows_is_stamped(self, workbench):
        archive = make_zip({"package.toml": MANIFEST.replace("\n", "\r\n")})
        publish(workbench, archive, author="Acme")
        stored = workbench.get("/api/packages/my-widget/versions/1/download/").body
        expected = MANIFEST.replace("[package]\n", "[package]\nversion = 1\n")
        assert read_zip(stored)["package.toml"].decode() == expected.replace("\n", "\r\n")

    def test_its_own_record_of_a_history_is_a_claim(self, workbench):
        first = publish(workbench, package_zip("my-widget"))
        digest = first.json["content_hash"][7:19]
        record = (
            "\n# my-widget@1\n[time: 2026-06-13T15:14:50Z, author: Acme, hash: "
            f"{digest}]\n\nFirst\n\n# my-widget@0\n"
        )
        manifest = MANIFEST.replace('"my-widget"', '"my-gadget"', 1)
        archive = make_zip({"package.toml": manifest, "HISTORY.md": record})
        made = workbench.upload("/api/packages/my-gadget/versions/", archive, {"author": "Acme"})
        assert made.json["forked_from"] == {"package": "my-widget", "version": 1}

    @pytest.mark.parametrize("filename", ["my-widget.zip", '"a b.zip"', "x", '"ü.zip"', '"../x"'])
    def test_the_name_and_the_type_of_the_file_do_not_matter(self, acme, filename):
        body = dotnet_form(package_zip("my-widget"))
        body = body.replace(
            b"filename=my-widget.zip; filename*=utf-8''my-widget.zip",
            b"filename=" + filename.encode(),
        ).replace(b"application/zip", b"text/x-nonsense")
        response = acme.call(
            "POST",
            "/api/packages/my-widget/versions/",
            body,
            content_type=f'multipart/form-data; boundary="{BOUNDARY}"',
            status=201,
        )
        assert response.json["version"] == 1
