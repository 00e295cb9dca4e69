"""URLs, methods, bodies and headers: section 2."""

import json
from urllib.parse import quote

import pytest

from tests.support.archives import package_zip
from tests.support.contract import (
    ENDPOINTS,
    NO_PACKAGE,
    READS,
    assert_refused,
    file_part,
    multipart,
    same_answer,
    text_part,
)
from tests.support.hub import Client

WHOLE = [
    "/api/packages/widget/versions/1/download",
    "/api/packages/widget/versions/1/history",
    "/api/packages/widget/latest",
    "/api/packages/widget/history",
    "/api/packages/widget/aliases/stable/download",
]
HYGIENE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ALLOWED = {
    "/api/packages": {"GET", "POST"},
    "/api/packages/{}": {"GET", "DELETE"},
    "/api/packages/{}/versions": {"GET", "POST"},
    "/api/packages/{}/versions/1": {"GET", "DELETE"},
    "/api/packages/{}/versions/1/download": {"GET"},
    "/api/packages/{}/versions/1/history": {"GET"},
    "/api/packages/{}/latest": {"GET"},
    "/api/packages/{}/history": {"GET"},
    "/api/packages/{}/aliases": {"GET"},
    "/api/packages/{}/aliases/stable": {"GET", "PUT", "DELETE"},
}


def wrong_methods(path):
    """The methods that a route does not know."""
    return {"GET", "POST", "PUT", "PATCH", "DELETE"} - ALLOWED[path]


@pytest.fixture
def widget(acme):
    """A client whose organisation has `widget` with version 1 and the alias `stable`."""
    acme.publish("widget")
    acme.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 1})
    return acme


class TestUrls:
    @pytest.mark.parametrize("path", READS)
    def test_reading_works_with_and_without_one_trailing_slash(self, widget, path):
        path = path.format("widget")
        assert same_answer(widget.get(path)) == same_answer(widget.get(path + "/"))

    def test_writing_works_with_a_trailing_slash(self, acme):
        acme.send_json("POST", "/api/packages/", {"name": "widget"}, 201)
        acme.upload("/api/packages/widget/versions/", package_zip("widget"))
        acme.send_json("PUT", "/api/packages/widget/aliases/stable/", {"version": 1})
        acme.delete("/api/packages/widget/aliases/stable/")
        acme.delete("/api/packages/widget/versions/1/", 200)
        acme.delete("/api/packages/widget/")

    @pytest.mark.parametrize(
        "path",
        [
            "/api/packages//",
            "/api//packages",
            "//api/packages",
            "/api/packages//widget",
            "/api/packages/widget//",
            "/api/packages/widget//versions",
            "/api/packages/widget/versions//1",
            "/api/packages/widget/versions/1//download",
            "/api/packages/widget/versions/1/download//",
            "/api/Packages",
            "/API/packages",
            "/api/packages/widget/Versions",
            "/api/packages/widget/versions/1/Download",
            "/api/packages/widget/LATEST",
            "/api/packages/widget/latest/1",
            "/api/packages/widget/history/1",
            "/api/packages/widget/versions/1/download/1",
            "/api/packages/widget/versions/1/nothing",
            "/api/packages/widget/nothing",
            "/api/packages/widget/aliases/stable/nothing",
            "/api/packages/a%2Fb",
            "/api/packages/Widget",
            "/api/packages/.widget",
            "/api/packages/-widget",
            "/api/packages/%20widget",
            "/api/packages/widget%20",
            "/api/packages/wid%20get",
            "/api/packages/widget/versions/x",
            "/api/packages/widget/versions/-1",
            "/api/packages/widget/versions/+1",
            "/api/packages/widget/versions/1.0",
            "/api/packages/widget/versions/1_0",
            "/api/packages/widget/versions/%201",
            "/api/packages/widget/versions/0",
            "/api/packages/widget/versions/2",
            "/api/packages/widget/versions/٣",
            "/api/packages/widget/versions/¹",
            "/api/packages/widget/versions/" + "9" * 5000,
            "/api/packages/widget/versions/4294967297",
            "/api/nothing",
            "/api",
            "/nothing",
        ],
        ids=lambda path: path[:50],
    )
    def test_what_no_route_matches_and_what_is_not_there_is_404(self, widget, path):
        response = widget.get(path, 404)
        assert list(response.json) == ["detail"]
        assert response.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("number", ["01", "1", "0000000000000000000001"])
    @pytest.mark.parametrize("rest", ["", "/download", "/history"])
    def test_leading_zeros_of_a_version_do_not_count(self, widget, number, rest):
        asked = widget.get(f"/api/packages/widget/versions/{number}{rest}")
        plain = widget.get(f"/api/packages/widget/versions/1{rest}")
        assert same_answer(asked) == same_answer(plain)

    @pytest.mark.parametrize(
        "path",
        [
            "/api/./packages",
            "/api/packages/..",
            "/api/packages/../packages",
            "/api/packages/%2e%2e/packages",
            "/api/packages/widget/versions/1/../../versions",
            "/api/packages/widget/.",
        ],
    )
    def test_dotted_segments_are_refused(self, widget, path):
        response = widget.get(path, 400)
        assert list(response.json) == ["detail"]

    @pytest.mark.parametrize(
        "path",
        ["/api/packages/%ff", "/api/packages/widget/%C3%28", "/api/packages/widget%00"],
    )
    def test_what_is_no_text_in_a_url_is_refused(self, widget, path):
        assert widget.get(path, "4*").status_int in {400, 404}

    @pytest.mark.parametrize("query", ["x=1", "format=json", "name=gadget&a[]=2", "%ff=%00", "&&="])
    @pytest.mark.parametrize("path", READS)
    def test_queries_that_mean_nothing_are_ignored(self, widget, path, query):
        path = path.format("widget")
        if path.endswith(("/packages", "/versions", "/log")) and "%ff" in query:
            assert widget.get(f"{path}?{query}", "*").status_int in {200, 400}
        else:
            assert widget.get(f"{path}?{query}").body == widget.get(path).body

    @pytest.mark.parametrize(
        "name", ["a", "A", "_", "0", "a.b-c_d", "Ünï", "日本", "a..", "a--", "x" * 128]
    )
    def test_every_name_of_the_grammar_is_reachable(self, acme, name):
        version = acme.publish(name)
        assert version["package"] == name
        assert version["download_url"] == f"/api/packages/{name}/versions/1/download"
        for url in (name, quote(name, safe="")):
            assert acme.get(f"/api/packages/{url}").json["name"] == name
            assert acme.get(f"/api/packages/{url}/latest").status_int == 200

    def test_names_are_compared_exactly(self, acme):
        for name in ("widget", "Widget", "WIDGET"):
            acme.publish(name)
        assert [each["name"] for each in acme.get("/api/packages").json] == [
            "WIDGET",
            "Widget",
            "widget",
        ]

    def test_a_name_is_the_same_however_it_is_composed(self, acme):
        acme.publish("u\u0308ber")
        assert acme.get("/api/packages/\u00fcber").json["name"] == "\u00fcber"
        assert acme.get("/api/packages/u\u0308ber").json["name"] == "\u00fcber"
        acme.publish("\u00fcber", package_zip("u\u0308ber"))
        assert len(acme.get("/api/packages").json) == 1


class TestMethods:
    @pytest.mark.parametrize("path", READS)
    def test_head_is_get_without_the_body(self, widget, path):
        path = path.format("widget")
        get, head = widget.get(path), widget.call("HEAD", path)
        assert head.body == b""
        assert same_answer(head)[:2] == same_answer(get)[:2]

    @pytest.mark.parametrize("path", READS[1:])
    def test_head_of_what_is_not_there_is_404_without_a_body(self, acme, path):
        response = acme.call("HEAD", path.format("nothing"))
        assert (response.status_int, response.body) == (404, b"")

    @pytest.mark.parametrize("path", ALLOWED)
    @pytest.mark.parametrize("slash", ["", "/"])
    def test_a_wrong_method_is_405_before_anything_is_looked_for(self, acme, path, slash):
        for method in wrong_methods(path):
            response = acme.call(method, path.format("nothing") + slash)
            assert_refused(response, 405, f'Method "{method}" not allowed.')
            allowed = set(response.headers["Allow"].replace(" ", "").split(","))
            assert ALLOWED[path] <= allowed <= ALLOWED[path] | {"HEAD", "OPTIONS"}

    @pytest.mark.parametrize("path", ALLOWED)
    def test_who_has_no_key_hears_that_before_405(self, hub, path):
        for method in wrong_methods(path):
            response = hub.app().request(path.format("nothing"), method=method, status=401)
            assert "Allow" not in response.headers

    @pytest.mark.parametrize("path", ALLOWED)
    def test_options_answers_200(self, widget, path):
        assert widget.call("OPTIONS", path.format("widget"), status=200)

    def test_a_wrong_method_on_no_route_is_404(self, acme):
        acme.call("PUT", "/api/packages/widget/nothing", status=404)
        acme.call("PUT", "/api/packages/widget/versions/x", status=404)


class TestBodies:
    NOTATIONS = (
        ("application/json", b'{"%s":"%s"}'),
        ("application/json; charset=utf-8", b' {"%s" : "%s"} '),
        ("APPLICATION/JSON", b'{"%s":"%s"}'),
        ("application/x-www-form-urlencoded", b"%s=%s"),
        ("application/x-www-form-urlencoded; charset=UTF-8", b"%s=%s"),
        (
            'multipart/form-data; boundary="b c"',
            b'--b c\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--b c--\r\n',
        ),
        (
            "multipart/form-data; boundary=b",
            b"ignored\r\n--b\r\nContent-Disposition: form-data; name=%s\r\n\r\n%s\r\n--b--\r\nx",
        ),
    )

    @pytest.mark.parametrize(("content_type", "template"), NOTATIONS)
    def test_every_notation_registers(self, acme, content_type, template):
        body = template % (b"name", b"widget")
        response = acme.call("POST", "/api/packages", body, content_type=content_type, status=201)
        assert response.json["name"] == "widget"

    @pytest.mark.parametrize(("content_type", "template"), NOTATIONS)
    def test_every_notation_moves_an_alias(self, widget, content_type, template):
        path = "/api/packages/widget/aliases/beta"
        body = template % (b"version", b"1")
        response = widget.call("PUT", path, body, content_type=content_type, status=200)
        assert response.json["version"] == 1

    @pytest.mark.parametrize(("content_type", "template"), NOTATIONS)
    def test_every_notation_gives_a_reason(self, widget, content_type, template):
        body = template % (b"reason", b"bad")
        path = "/api/packages/widget/versions/1"
        response = widget.call("DELETE", path, body, content_type=content_type, status=200)
        assert response.json["tombstone_reason"] == "bad"

    ACTIONS = (
        ("POST", "/api/packages"),
        ("POST", "/api/packages/widget/versions"),
        ("PUT", "/api/packages/widget/aliases/beta"),
        ("DELETE", "/api/packages/widget"),
        ("DELETE", "/api/packages/widget/versions/1"),
    )

    @pytest.mark.parametrize(("method", "path"), ACTIONS)
    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/xml", "application/zip", "multipart/mixed"]
    )
    def test_other_types_are_415_and_do_nothing(self, widget, method, path, content_type):
        before = widget.get("/api/packages/widget").body
        response = widget.call(method, path, b"name=x", content_type=content_type)
        assert_refused(response, 415, f'Unsupported media type "{content_type}" in request.')
        assert widget.get("/api/packages/widget").body == before

    BAD_JSON = (
        b"{",
        b'{"name":NaN}',
        b'{"version":Infinity}',
        b"-Infinity",
        b'{"name":"\xff"}',
        '{"name":"ü"}'.encode("latin-1"),
        '{"name":"x"}'.encode("utf-16"),
        b'{"name":"x",}',
        b"name=x",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"version":' + b"9" * 5000 + b"}",
        b"\0",
    )

    @pytest.mark.parametrize(("method", "path"), ACTIONS)
    def test_bad_json_is_400_and_does_nothing(self, widget, method, path):
        before = widget.get("/api/packages/widget").body
        for body in self.BAD_JSON:
            response = widget.call(method, path, body, content_type="application/json", status=400)
            assert list(response.json) == ["detail"]
            assert response.json["detail"].startswith("JSON parse error - ")
        assert widget.get("/api/packages/widget").body == before

    @pytest.mark.parametrize(("method", "path"), ACTIONS)
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/form-data", b"--b--"),
            ("multipart/form-data; boundary=", b"--b--"),
            ("multipart/form-data; boundary=b", b"nothing"),
            ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
            ("multipart/form-data; boundary=b", multipart([text_part("name", "x")], "b")[:-10]),
            ("multipart/form-data; boundary=b", multipart([text_part("name", "x")], "b")[:30]),
        ],
    )
    def test_multipart_that_cannot_be_parsed_is_400(self, widget, method, path, content_type, body):
        before = widget.get("/api/packages/widget").body
        response = widget.call(method, path, body, content_type=content_type, status=400)
        assert response.json["detail"].startswith("Multipart form parse error - ")
        assert widget.get("/api/packages/widget").body == before

    def test_no_body_is_an_empty_object(self, widget):
        path = "/api/packages/widget/aliases/beta"
        assert_refused(widget.call("POST", "/api/packages"), 400, "missing 'name'")
        assert_refused(widget.call("PUT", path), 400, "body must include 'version'")
        assert_refused(
            widget.call("POST", "/api/packages/widget/versions"), 400, "no file provided"
        )
        assert widget.delete("/api/packages/widget/versions/1", 200).json["tombstone_reason"] == ""
        widget.delete("/api/packages/widget")

    def test_unknown_fields_of_a_publish_are_ignored(self, acme):
        version = acme.publish("widget", path="x", anything="y", head="7")
        assert version["version"] == 1

    def test_of_a_repeated_field_or_file_the_last_one_wins(self, acme):
        body = multipart(
            [
                file_part(package_zip("widget", "first")),
                text_part("summary", "one"),
                text_part("summary", "two"),
                file_part(b"not looked at", name="other"),
                file_part(package_zip("widget", "last")),
            ]
        )
        response = acme.call(
            "POST",
            "/api/packages/widget/versions",
            body,
            content_type="multipart/form-data; boundary=frontier",
            status=201,
        )
        assert (response.json["summary"], response.json["author"]) == ("two", "last")

    def test_a_field_that_is_not_utf_8_is_read_with_replacements(self, acme):
        body = multipart([file_part(package_zip("widget")), text_part("summary", b"a\xffb")])
        response = acme.call(
            "POST",
            "/api/packages/widget/versions",
            body,
            content_type="multipart/form-data; boundary=frontier",
            status=201,
        )
        assert response.json["summary"] == "a\ufffdb"


class TestAnswers:
    @pytest.mark.parametrize(("method", "path"), ENDPOINTS)
    @pytest.mark.parametrize("name", ["widget", "nothing"])
    def test_every_answer_is_hygienic(self, widget, method, path, name):
        response = widget.call(method, path.format(name))
        assert HYGIENE.items() <= dict(response.headers).items()

    def test_so_are_those_of_strangers(self, hub):
        for path in ("/api/packages", "/", "/api//packages", "/api/packages/.."):
            response = hub.app().get(path, status="*", expect_errors=True)
            assert HYGIENE.items() <= dict(response.headers).items()

    @pytest.mark.parametrize("path", [path for path in READS if path.format("widget") not in WHOLE])
    def test_json_is_compact_utf_8_without_a_charset(self, acme, path):
        acme.publish("wïdget", summary="schön \u2028 日本 </script>", author="é")
        acme.send_json("PUT", "/api/packages/wïdget/aliases/stable", {"version": 1})
        response = acme.get(path.format("wïdget"))
        assert response.headers["Content-Type"] == "application/json"
        compact = json.dumps(response.json, ensure_ascii=False, separators=(",", ":"))
        assert response.body.decode() == compact

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/api/packages/nothing", 404),
            ("PUT", "/api/packages", 405),
            ("POST", "/api/packages", 400),
            ("GET", "/api/nothing", 404),
            ("GET", "/api/packages//", 404),
            ("GET", "/api/packages/..", 400),
        ],
    )
    def test_errors_are_an_object_with_a_text(self, acme, method, path, status):
        response = acme.call(method, path, status=status)
        assert response.headers["Content-Type"] == "application/json"
        assert isinstance(response.json["detail"], str)

    @pytest.mark.parametrize(
        ("method", "path"),
        [("DELETE", "/api/packages/widget/aliases/stable"), ("DELETE", "/api/packages/widget")],
    )
    def test_204_has_no_body(self, widget, method, path):
        response = widget.call(method, path, status=204)
        assert response.body == b""
        assert "Content-Type" not in response.headers

    @pytest.mark.parametrize("path", [*WHOLE, "/api/packages", "/api/packages/nothing"])
    def test_what_a_client_accepts_changes_nothing(self, widget, path):
        for accept in ("*/*", "application/*", "text/html", "application/zip", "", "x", ";q="):
            asked = widget.get(path, "*", headers={"Accept": accept})
            assert same_answer(asked) == same_answer(widget.get(path, "*"))

    def test_no_answer_sets_a_cookie(self, widget):
        for path in READS:
            assert "Set-Cookie" not in widget.get(path.format("widget")).headers


class TestPrefix:
    @pytest.fixture
    def below(self, widget):
        """The same organisation, called at a hub that is mounted at `/workshop`."""
        return Client(widget.hub, widget.slug, widget.key, prefix="/workshop")

    def test_every_endpoint_works_below_a_prefix(self, below):
        for path in READS:
            below.get(path.format("widget"))
        below.send_json("POST", "/api/packages/", {"name": "gadget"}, 201)
        assert below.publish("gadget")["version"] == 1
        below.send_json("PUT", "/api/packages/gadget/aliases/beta/", {"version": 1})
        below.delete("/api/packages/gadget/")

    def test_a_download_url_carries_the_prefix(self, below):
        url = "/workshop/api/packages/widget/versions/1/download"
        assert below.get("/api/packages/widget/versions/1").json["download_url"] == url
        assert below.get("/api/packages/widget").json["versions"][0]["download_url"] == url
        assert below.get("/api/packages").json[0]["latest_version"]["download_url"] == url
        assert below.publish("widget")["download_url"] == url.replace("/1/", "/2/")
        assert below.app.get(url).status_int == 200

    @pytest.mark.parametrize("path", ["/api/packages", "/api/packages/widget/versions"])
    def test_the_link_to_the_next_page_carries_the_prefix(self, below, path):
        below.publish("gadget")
        below.publish("widget")
        link = below.get(f"{path}?limit=1").headers["Link"]
        url = link[link.index("<") + 1 : link.index(">")]
        assert "/workshop/api/packages" in url
        assert len(below.app.get(url).json) == 1

    def test_errors_are_the_same_below_a_prefix(self, below):
        assert_refused(below.get("/api/packages/nothing", 404), 404, NO_PACKAGE)
        assert_refused(below.call("PUT", "/api/packages"), 405, 'Method "PUT" not allowed.')
        below.get("/api/packages//", 404)
