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
    post_form,
    same_answer,
    text_part,
)
from tests.support.hub import Client

WIDGET = "/api/packages/widget"
WHOLE = [
    path.format("widget") for path in READS if path.endswith(("download", "history", "latest"))
]
ALLOWED = {
    path: {method for method, known in ENDPOINTS if known == path}
    for path in READS
    if not path.endswith("/log")
}


def wrong_methods():
    """All (method, path) that a route does not know."""
    for path, allowed in ALLOWED.items():
        for method in sorted({"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed):
            yield method, path


@pytest.fixture
def widget(acme):
    """A client whose organisation has `widget` with version 1 and the alias `stable`."""
    acme.publish("widget")
    acme.send_json("PUT", f"{WIDGET}/aliases/stable", {"version": 1})
    return acme


NOWHERE = """
    /api /nothing /api/nothing /api//packages //api/packages /api/packages// /api/Packages
    /API/packages /api/packages//widget /api/packages/Widget /api/packages/a%2Fb
    /api/packages/.widget /api/packages/-widget /api/packages/%20widget /api/packages/wid%20get
"""
NOT_IN_WIDGET = """
    %20 // //versions /versions//1 /versions/1//download /versions/1/download// /Versions /LATEST
    /versions/1/Download /latest/1 /history/1 /nothing /versions/1/download/1 /versions/1/nothing
    /aliases/stable/nothing /versions/x /versions/-1 /versions/+1 /versions/1.0 /versions/1_0
    /versions/%201 /versions/0 /versions/2 /versions/٣ /versions/¹ /versions/4294967297
"""


class TestUrls:
    def test_reading_works_with_and_without_one_trailing_slash(self, widget):
        for path in READS:
            path = path.format("widget")
            assert same_answer(widget.get(path)) == same_answer(widget.get(path + "/"))

    def test_writing_works_with_a_trailing_slash(self, acme):
        acme.send_json("POST", "/api/packages/", {"name": "widget"}, 201)
        acme.upload(f"{WIDGET}/versions/", package_zip("widget"))
        acme.send_json("PUT", f"{WIDGET}/aliases/stable/", {"version": 1})
        acme.delete(f"{WIDGET}/aliases/stable/")
        acme.delete(f"{WIDGET}/versions/1/", 200)
        acme.delete(f"{WIDGET}/")

    @pytest.mark.backend
    def test_what_no_route_matches_and_what_is_not_there_is_404(self, widget):
        below = [*NOT_IN_WIDGET.split(), "/versions/" + "9" * 5000]
        for path in NOWHERE.split() + [WIDGET + rest for rest in below]:
            response = widget.get(path, 404)
            assert list(response.json) == ["detail"]
            assert response.headers["Content-Type"] == "application/json"

    def test_leading_zeros_of_a_version_do_not_count(self, widget):
        for rest in ("", "/download", "/history"):
            plain = same_answer(widget.get(f"{WIDGET}/versions/1{rest}"))
            for number in ("01", "0000000000000000000001"):
                assert same_answer(widget.get(f"{WIDGET}/versions/{number}{rest}")) == plain

    def test_dotted_segments_and_what_is_no_text_are_refused(self, widget):
        for path in (
            *("/api/./packages", "/api/packages/..", "/api/packages/../packages"),
            *("/api/packages/%2e%2e/packages", f"{WIDGET}/versions/1/../../versions"),
            f"{WIDGET}/.",
        ):
            assert list(widget.get(path, 400).json) == ["detail"]
        for path in ("/api/packages/%ff", f"{WIDGET}/%C3%28", f"{WIDGET}%00"):
            assert widget.get(path, "4*").status_int in {400, 404}

    def test_queries_that_mean_nothing_are_ignored(self, widget):
        for path in READS:
            path = path.format("widget")
            plain = widget.get(path).body
            for query in ("x=1", "format=json", "name=gadget&a[]=2", "&&="):
                assert widget.get(f"{path}?{query}").body == plain
            if path.endswith(("/packages", "/versions", "/log")):
                assert widget.get(f"{path}?%ff=%00", "*").status_int in {200, 400}
            else:
                assert widget.get(f"{path}?%ff=%00").body == plain

    @pytest.mark.backend
    def test_every_name_of_the_grammar_is_reachable(self, acme):
        for name in ("a", "A", "_", "0", "a.b-c_d", "Ünï", "日本", "a..", "a--", "x" * 128):
            version = acme.publish(name)
            assert version["package"] == name
            assert version["download_url"] == f"/api/packages/{name}/versions/1/download"
            for url in (name, quote(name, safe="")):
                assert acme.get(f"/api/packages/{url}").json["name"] == name
                assert acme.get(f"/api/packages/{url}/latest").status_int == 200

    @pytest.mark.backend
    def test_names_are_compared_exactly_in_normal_form(self, acme):
        names = ["WIDGET", "Widget", "widget"]
        for name in names[::-1]:
            acme.publish(name)
        assert [each["name"] for each in acme.get("/api/packages").json] == names
        acme.publish("u\u0308ber")
        acme.publish("\u00fcber", package_zip("u\u0308ber"))
        for name in ("\u00fcber", "u\u0308ber"):
            found = acme.get(f"/api/packages/{name}").json
            assert (found["name"], len(found["versions"])) == ("\u00fcber", 2)


class TestMethods:
    def test_head_is_get_without_the_body(self, widget):
        for path in READS:
            path = path.format("widget")
            get, head = widget.get(path), widget.call("HEAD", path)
            assert head.body == b""
            assert same_answer(head)[:2] == same_answer(get)[:2]
        for path in READS[1:]:
            response = widget.call("HEAD", path.format("nothing"))
            assert (response.status_int, response.body) == (404, b"")

    def test_a_wrong_method_is_405_before_anything_is_looked_for(self, acme):
        for method, path in wrong_methods():
            for slash in ("", "/"):
                response = acme.call(method, path.format("nothing") + slash)
                assert_refused(response, 405, f'Method "{method}" not allowed.')
                allowed = set(response.headers["Allow"].replace(" ", "").split(","))
                assert ALLOWED[path] <= allowed <= ALLOWED[path] | {"HEAD", "OPTIONS"}
        for rest in ("nothing", "versions/x"):
            acme.call("PUT", f"{WIDGET}/{rest}", status=404)

    def test_options_answers_200(self, widget):
        for path in ALLOWED:
            assert widget.call("OPTIONS", path.format("widget"), status=200)


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
BAD_JSON = (
    *(b"{", b'{"name":NaN}', b'{"version":Infinity}', b"-Infinity", b'{"name":"x",}', b"name=x"),
    *(b"\0", b'{"name":"\xff"}', '{"name":"ü"}'.encode("latin-1"), '{"name":"x"}'.encode("utf-16")),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"version":' + b"9" * 5000 + b"}"),
)
A_FORM = multipart([text_part("name", "x")], "b")
BAD_FORMS = (
    ("multipart/form-data", b"--b--"),
    ("multipart/form-data; boundary=", b"--b--"),
    ("multipart/form-data; boundary=b", b"nothing"),
    ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", A_FORM[:-10]),
    ("multipart/form-data; boundary=b", A_FORM[:30]),
)


class TestBodies:
    def test_every_notation_is_read_wherever_there_is_a_body(self, acme):
        acme.publish("widget")
        for number, (content_type, template) in enumerate(NOTATIONS, 1):
            acme.publish("widget")
            for method, path, field, value, shown in (
                ("POST", "/api/packages", "name", f"p{number}", "name"),
                ("PUT", f"{WIDGET}/aliases/beta", "version", str(number), "version"),
                ("DELETE", f"{WIDGET}/versions/{number}", "reason", "bad", "tombstone_reason"),
            ):
                body = template % (field.encode(), value.encode())
                response = acme.call(method, path, body, content_type=content_type, status="2*")
                assert str(response.json[shown]) == value

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/api/packages"),
            ("POST", f"{WIDGET}/versions"),
            ("PUT", f"{WIDGET}/aliases/beta"),
            ("DELETE", WIDGET),
            ("DELETE", f"{WIDGET}/versions/1"),
        ],
    )
    def test_a_body_that_cannot_be_read_is_refused_and_does_nothing(self, widget, method, path):
        def refused(body, content_type, status):
            return widget.call(method, path, body, content_type=content_type, status=status)

        before = widget.get(WIDGET).body
        for kind in ("text/plain", "application/xml", "application/zip", "multipart/mixed"):
            response = refused(b"name=x", kind, 415)
            assert_refused(response, 415, f'Unsupported media type "{kind}" in request.')
        for body in BAD_JSON:
            response = refused(body, "application/json", 400)
            assert list(response.json) == ["detail"]
            assert response.json["detail"].startswith("JSON parse error - ")
        for kind, body in BAD_FORMS:
            response = refused(body, kind, 400)
            assert response.json["detail"].startswith("Multipart form parse error - ")
        assert widget.get(WIDGET).body == before

    def test_no_body_is_an_empty_object(self, widget):
        assert_refused(widget.call("POST", "/api/packages"), 400, "missing 'name'")
        beta = widget.call("PUT", f"{WIDGET}/aliases/beta")
        assert_refused(beta, 400, "body must include 'version'")
        assert_refused(widget.call("POST", f"{WIDGET}/versions"), 400, "no file provided")
        assert widget.delete(f"{WIDGET}/versions/1", 200).json["tombstone_reason"] == ""
        widget.delete(WIDGET)

    def test_unknown_fields_are_ignored_and_of_a_repeated_one_the_last_wins(self, acme):
        parts = [
            file_part(package_zip("widget", "first")),
            text_part("summary", "one"),
            text_part("head", "7"),
            text_part("summary", "two"),
            file_part(b"not looked at", name="other"),
            file_part(package_zip("widget", "last")),
        ]
        version = post_form(acme, f"{WIDGET}/versions", parts, status=201).json
        assert (version["summary"], version["author"]) == ("two", "last")

    def test_a_field_that_is_not_utf_8_is_read_with_replacements(self, acme):
        parts = [file_part(package_zip("widget")), text_part("summary", b"a\xffb")]
        version = post_form(acme, f"{WIDGET}/versions", parts, status=201).json
        assert version["summary"] == "a\ufffdb"


class TestAnswers:
    def test_json_is_compact_utf_8_without_a_charset(self, acme):
        acme.publish("wïdget", summary="schön \u2028 日本 </script>", author="é")
        acme.send_json("PUT", "/api/packages/wïdget/aliases/stable", {"version": 1})
        for path in READS:
            if path.format("widget") not in WHOLE:
                response = acme.get(path.format("wïdget"))
                assert response.headers["Content-Type"] == "application/json"
                assert "Set-Cookie" not in response.headers
                compact = json.dumps(response.json, ensure_ascii=False, separators=(",", ":"))
                assert response.body.decode() == compact

    def test_204_has_no_body(self, widget):
        for path in (f"{WIDGET}/aliases/stable", WIDGET):
            response = widget.delete(path)
            assert response.body == b""
            assert "Content-Type" not in response.headers

    def test_what_a_client_accepts_changes_nothing(self, widget):
        for path in (*WHOLE, "/api/packages", "/api/packages/nothing"):
            plain = same_answer(widget.get(path, "*"))
            for accept in ("*/*", "application/*", "text/html", "application/zip", "", "x", ";q="):
                asked = widget.get(path, "*", headers={"Accept": accept})
                assert same_answer(asked) == plain


def test_below_a_prefix_every_endpoint_works_and_urls_carry_it(widget):
    below = Client(widget.hub, widget.slug, widget.key, prefix="/workshop")
    url = f"/workshop{WIDGET}/versions/1/download"
    assert below.get(f"{WIDGET}/versions/1").json["download_url"] == url
    assert below.get(WIDGET).json["versions"][0]["download_url"] == url
    assert below.get("/api/packages").json[0]["latest_version"]["download_url"] == url
    assert below.publish("widget")["download_url"] == url.replace("/1/", "/2/")
    assert below.app.get(url).status_int == 200
    for path in READS:
        below.get(path.format("widget"))
    below.send_json("POST", "/api/packages/", {"name": "gadget"}, 201)
    for path in ("/api/packages", f"{WIDGET}/versions"):
        link = below.get(f"{path}?limit=1").headers["Link"]
        url = link[link.index("<") + 1 : link.index(">")]
        assert "/workshop/api/packages" in url
        assert len(below.app.get(url).json) == 1
    assert_refused(below.get("/api/packages/nothing", 404), 404, NO_PACKAGE)
    assert_refused(below.call("PUT", "/api/packages"), 405, 'Method "PUT" not allowed.')
    below.get("/api/packages//", 404)
