"""`/api/openapi.json` and `/docs`: open to everybody, asked for again only when they have changed."""

import html
import json
import re

from hubrepo.features.docs.presenters import kind, prose
from tests.support.features import HAS_ARTIFACTS
from tests.support.hub import Client, Hub

ADDRESSES = ["/api/openapi.json", "/docs"]


def test_nobody_needs_a_key_and_who_has_it_is_not_sent_it_again(hub: Hub, acme: Client):
    for path in ADDRESSES:
        for slash in ("", "/"):
            first = hub.app().get(f"{path}{slash}")
            assert first.body == acme.get(path).body
            assert hub.app().head(path).headers["Content-Length"] == str(len(first.body))
        assert first.headers["Cache-Control"] == "public, no-cache"
        again = hub.app().get(path, headers={"If-None-Match": first.headers["ETag"]}, status=304)
        assert (again.body, again.headers["ETag"]) == (b"", first.headers["ETag"])
        part = hub.app().get(path, headers={"Range": "bytes=0-8"}, status=206)
        assert part.body == first.body[:9]


def test_a_bad_key_is_refused_below_api_even_where_none_is_needed(hub: Hub):
    for path in ("/api/openapi.json", "/api", "/api/", "/api/packages", "/api/nothing"):
        for key in ("nonsense", "kpf_00000000_" + "A" * 43):
            answer = hub.app().get(path, headers={"Authorization": f"Api-Key {key}"}, status=401)
            assert answer.json == {"detail": "invalid API key"}
            assert answer.headers["WWW-Authenticate"] == "Api-Key"


def test_without_a_key_nothing_else_below_api_is_open(hub: Hub):
    for path in ("/api/packages", "/api/nothing", "/api/openapi", "/api/openapi.json.json"):
        assert hub.app().get(path, status=401).json["detail"].startswith("Authentication")
    for path in ("/api/openapi.json/x", "/api", "/docs/x"):
        assert hub.app().get(path, status=404).json == {"detail": "Not found."}
    assert hub.app().post("/api/openapi.json", status=405).headers["Allow"] == "GET, HEAD, OPTIONS"


def test_it_says_where_the_hub_is_below_a_prefix(hub: Hub):
    for prefix in ("", "/hub"):
        app = hub.app(SCRIPT_NAME=prefix)
        document = app.get(f"{prefix}/api/openapi.json").json
        assert document["servers"] == [{"url": prefix or "/"}]
        page = app.get(f"{prefix}/docs")
        assert f'href="{prefix}/api/openapi.json"' in page.text


def test_the_page_tells_of_every_operation_and_every_schema(hub: Hub):
    document = hub.app().get("/api/openapi.json").json
    page = hub.app().get("/docs").text
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f'<article id="{operation["operationId"]}">' in page
            assert f'href="#{operation["operationId"]}"' in page
            assert f'class="method {method}">{method.upper()}' in page
        assert re.sub(r"({\w+})", r"<var>\1</var>", path) in page
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= anchors


def test_each_surface_shows_its_own_credential_and_bodies(hub: Hub):
    document = hub.app().get("/api/openapi.json").json
    page = hub.app().get("/docs").text
    found = re.findall(r'<article id="(\w+)">.*?<pre class="line">(.*?)</pre>', page, re.DOTALL)
    lines, bodies = dict(found), {}
    for methods in document["paths"].values():
        for operation in methods.values():
            name = operation["operationId"]
            line = html.unescape(lines[name])
            bodies[name] = operation.get("requestBody", {}).get("content", {})
            assert ("Api-Key $KEY" in line) == (operation["security"] == [{"key": []}])
            assert ("X-Api-Token: $TOKEN" in line) == (operation["security"] == [{"token": []}])
    assert "--form file=@archive.zip" in lines["packages_publish"]
    medias = {"packages_publish": "zip", "pages_publish": "zip"}
    if HAS_ARTIFACTS:
        medias["artifacts_upload"] = "octet-stream"
        for field in ("product=my-lib", "version=v1.0.0", "file=@artifact.bin"):
            assert f"--form {field} " in lines["artifacts_upload"]
    for name, media in medias.items():
        encoding = bodies[name]["multipart/form-data"]["encoding"]
        assert encoding == {"file": {"contentType": f"application/{media}"}}


def test_the_page_needs_nothing_from_anywhere_and_may_not_run_anything(hub: Hub):
    page = hub.app().get("/docs")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(
        r"<script|<link (?!rel=\"icon\" href=\"data:)| src=| style=|\son\w+=", page.text
    )
    # Addresses elsewhere are examples, and where the format is explained; none is fetched.
    assert not re.search(r"(src|href|url\()=?\"?https?:", page.text)


def test_what_a_description_says_cannot_become_markup():
    shown = "<p><code>&lt;b&gt;</code> &amp; &lt;i&gt;</p>\n<p><code>x</code></p>"
    assert prose("`<b>` & <i>\n\n`x`") == shown
    assert kind({"type": ["string", "null"], "format": "date-time"}) == "date or null"
    assert kind({"$ref": "#/components/schemas/<X>"}) == '<a href="#schema-&lt;X&gt;">&lt;X&gt;</a>'


def test_the_description_holds_nothing_of_a_tenant(hub: Hub, acme: Client):
    acme.publish("secretive")
    text = json.dumps(acme.get("/api/openapi.json").json) + acme.get("/docs").text
    assert "secretive" not in text
    assert acme.slug not in text
    assert acme.key.split("_")[1] not in text


def test_the_start_leads_to_the_description(hub: Hub, tmp_path):
    for prefix, spelled in (("", ""), ("/hub", "/hub"), ("/b\u00fc ro", "/b%C3%BC%20ro")):
        environ = {"SCRIPT_NAME": prefix.encode().decode("latin-1")}
        answer = hub.app().get("/", extra_environ=environ, status=303)
        assert answer.headers["Location"] == f"{spelled}/docs"
    assert hub.app().post("/", status=405).headers["Allow"] == "GET, HEAD, OPTIONS"
    both = Hub.below(tmp_path, pages_host="pages.example.net")
    assert both.app().get("/", headers={"Host": "pages.example.net"}, status=404)
    assert both.app().get("/", headers={"Host": "hub.example.net"}, status=303)
    both.registry.database.close()
