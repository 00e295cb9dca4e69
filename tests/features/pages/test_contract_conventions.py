"""`_redirects` and `_headers`: followed where they are understood, refused with their line if not."""

import pytest

from tests.support.contract import assert_refused
from tests.support.hub import Client

PAGES = "/api/pages"
REFUSED = "invalid pages bundle - "


def publish(client, redirects=None, headers=None, status=201, **files):
    rules = {"_redirects": redirects, "_headers": headers}
    members = {name: text for name, text in rules.items() if text is not None}
    members |= {name.replace("__", "."): text for name, text in files.items()}
    return client.publish_page("team/site", {"index.html": "home", **members}, status)


def visit(client, path, status=200, **options):
    return client.visit(f"team/site{path}", status, **options)


def location(client, path, status=301):
    """Where a redirect leads, as seen from the page."""
    target = visit(client, path, status).headers["Location"].removeprefix("http://localhost")
    return target.removeprefix(f"{client.prefix}/pages/{client.slug}/team/site")


@pytest.fixture(scope="module")
def steady(hub):
    """A client of an organisation that many tests share."""
    return hub.organisation()


@pytest.fixture
def standing(steady):
    """The same, whose page stands, whatever else is tried."""
    if "X-Fine" not in visit(steady, "/", "*").headers:
        publish(steady, "/fine /index.html 200", "/*\n  X-Fine: x")
    return steady


def assert_stands(client):
    headers = visit(client, "/fine").headers
    assert headers["X-Fine"] == "x"
    assert "X-Own" not in headers


class TestRedirects:
    @pytest.mark.parametrize(
        ("rule", "path", "status", "target"),
        [
            ("/old /new.html", "/old", 301, "/new.html"),
            ("/old /new.html 301", "/old/", 301, "/new.html"),
            ("/old/ /new.html 301", "/old", 301, "/new.html"),
            ("/old\t \t/new.html\t302", "/old", 302, "/new.html"),
            ("/old /new.html 303", "/old", 303, "/new.html"),
            ("/old /new.html 307", "/old", 307, "/new.html"),
            ("/old /new.html 308", "/old", 308, "/new.html"),
            ("/old /new.html # why", "/old", 301, "/new.html"),
            ("/old /", "/old", 301, "/"),
            ("/old /new/#part", "/old", 301, "/new/#part"),
            ("/old /new?b=2", "/old", 301, "/new?b=2"),
            ("/a/* /b/:splat", "/a/x/y.html", 301, "/b/x/y.html"),
            ("/a/* /b/:splat", "/a/", 301, "/b/"),
            ("/a/* /b.html 302", "/a/x", 302, "/b.html"),
            ("/u/:name /users/:name.html", "/u/ann", 301, "/users/ann.html"),
            ("/u/:name/:id /x/:id/:name", "/u/ann/7", 301, "/x/7/ann"),
            ("/u/:name/* /x/:splat/:name", "/u/ann/7/8", 301, "/x/7/8/ann"),
            ("/old https://example.com/x", "/old", 301, "https://example.com/x"),
            ("/a/* https://example.com/:splat 302", "/a/b/c", 302, "https://example.com/b/c"),
        ],
    )
    def test_a_rule_leads_on(self, acme, rule, path, status, target):
        publish(acme, rule + "\n")
        assert location(acme, path, status) == target

    @pytest.mark.parametrize(
        ("rule", "path"),
        [
            ("/old /new", "/older"),
            ("/old /new", "/old/x"),
            ("/old /new", "/Old"),
            ("/old /new", "/x/old"),
            ("/a/* /b/:splat", "/ab"),
            ("/u/:name /x/:name", "/u/a/b"),
            ("/u/:name /x/:name", "/u"),
            ("/team/site/old /new", "/old"),
        ],
    )
    def test_it_speaks_of_no_other_path(self, acme, rule, path):
        publish(acme, rule)
        visit(acme, path, 404)

    def test_the_query_is_kept(self, acme):
        publish(acme, "/old /new\n/own /new?a=1\n/far https://example.com/x\n/part /new#here")
        assert location(acme, "/old?q=1&r=%2F") == "/new?q=1&r=%2F"
        assert location(acme, "/far?q=1") == "https://example.com/x?q=1"
        assert location(acme, "/part?q=1") == "/new?q=1#here"
        assert location(acme, "/own?q=1").startswith("/new?a=1")

    def test_it_is_right_below_a_prefix(self, acme):
        publish(acme, "/old /new\n/a/* /b/:splat 302\n/s/* /index.html 200")
        below = Client(acme.hub, acme.slug, acme.key, prefix="/workshop")
        target = visit(below, "/old", 301).headers["Location"]
        assert (
            target.removeprefix("http://localhost") == f"/workshop/pages/{acme.slug}/team/site/new"
        )
        assert location(below, "/a/x?q=1", 302) == "/b/x?q=1"
        assert visit(below, "/s/x").text == "home"

    def test_a_file_that_is_there_goes_first_unless_the_rule_is_forced(self, acme):
        publish(acme, "/a.txt /b.txt 302\n/c.txt /b.txt 302!", a__txt="a", b__txt="b", c__txt="c")
        assert visit(acme, "/a.txt").text == "a"
        assert location(acme, "/c.txt", 302) == "/b.txt"

    def test_of_two_rules_the_first_counts(self, acme):
        publish(acme, "/a/x /first\n/a/* /second\n/a/y /third")
        assert [location(acme, f"/a/{each}") for each in "xyz"] == ["/first", "/second", "/second"]

    def test_comments_blank_lines_and_line_ends_are_no_matter(self, acme):
        publish(acme, "\ufeff# top\r\n\r\n  /old   /new  302  \r\n\t\n#/x /y\r\n/last /end")
        assert location(acme, "/old", 302) == "/new"
        assert location(acme, "/last") == "/end"
        visit(acme, "/x", 404)

    def test_other_letters_are_matched_in_any_spelling_and_encoded_on_the_way_out(self, acme):
        publish(acme, "/\u00fc /n\u00e4\n/a%20b /c\n/s/* /t/:splat".encode())
        assert location(acme, "/\u00fc") == location(acme, "/u\u0308") == "/n%C3%A4"
        assert location(acme, "/a b") == "/c"
        assert location(acme, "/s/\u00e4 b") == "/t/%C3%A4%20b"

    @pytest.mark.parametrize(
        "path",
        ["/s/%0d%0aX-Evil:%201", "/s//evil.example", "/s/%2Fevil.example", "/s/%5Cevil", "/s/?"],
    )
    def test_what_is_filled_in_leads_nowhere_else(self, acme, path):
        publish(acme, "/s/* /:splat")
        response = visit(acme, path, "*")
        assert "X-Evil" not in response.headers
        if response.status_int == 301:
            place = response.headers["Location"].removeprefix("http://localhost")
            assert place.startswith(f"/pages/{acme.slug}/team/site/")

    def test_a_redirect_is_sandboxed_and_open_as_all_else(self, acme):
        publish(acme, "/old https://example.com/")
        headers = visit(acme, "/old", 301).headers
        assert headers["Content-Security-Policy"].startswith("sandbox ")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "no-cache" in headers["Cache-Control"]

    def test_a_rollback_brings_the_rules_of_that_publication_back(self, acme):
        publish(acme, "/old /one", "/*\n  X-Which: one")
        publish(acme, "/old /two", "/*\n  X-Which: two")
        assert location(acme, "/old") == "/two"
        acme.send_json("POST", f"{PAGES}/team/site/rollback", {"publication": 1})
        assert location(acme, "/old") == "/one"
        assert visit(acme, "/").headers["X-Which"] == "one"
        publish(acme)
        visit(acme, "/old", 404)
        assert "X-Which" not in visit(acme, "/").headers


class TestRewrites:
    def test_200_sends_the_file_in_its_place(self, acme):
        publish(acme, "/app/* /index.html 200\n/u/:id /user.html 200", user__html="user")
        for path in ("/app", "/app/", "/app/x/y", "/app/x.js?q=1"):
            assert visit(acme, path).text == "home"
        assert visit(acme, "/u/7").text == "user"
        visit(acme, "/v/7", 404)

    def test_it_has_the_headers_of_the_file(self, acme):
        publish(acme, "/app/* /index.html 200")
        plain, other = visit(acme, "/"), visit(acme, "/app/x")
        for name in ("ETag", "Content-Type", "Content-Length", "Content-Security-Policy", "Vary"):
            assert other.headers[name] == plain.headers[name]
        visit(acme, "/app/x", 304, If_None_Match=plain.headers["ETag"])
        assert visit(acme, "/app/x", 206, Range="bytes=1-2").text == "om"

    def test_a_page_of_one_document_still_has_its_files(self, acme):
        publish(acme, "/* /index.html 200", app__js="js")
        assert visit(acme, "/app.js").text == "js"
        assert visit(acme, "/any/thing").text == "home"
        visit(acme, "", 308)

    def test_a_placeholder_may_name_the_file(self, acme):
        publish(acme, "/u/:id /:id.txt 200\n/f/* /:splat 200", a__txt="a")
        assert visit(acme, "/u/a").text == "a"
        assert visit(acme, "/f/a.txt").text == "a"
        visit(acme, "/u/b", 404)
        for path in (
            "/f/../../a",
            "/f/..",
            "/f/%00",
            "/f//a.txt",
            "/f/_redirects",
            "/f/pages.toml",
        ):
            assert 400 <= visit(acme, path, "*").status_int < 500

    def test_404_sends_the_file_as_not_found(self, acme):
        publish(acme, "/gone/* /gone.html 404", gone__html="gone")
        response = visit(acme, "/gone/x", 404)
        assert response.text == "gone"
        assert visit(acme, "/gone.html").text == "gone"
        assert visit(acme, "/gone/x", 404, If_None_Match="*").text == "gone"

    def test_a_forced_one_hides_the_file(self, acme):
        publish(acme, "/a.txt /b.txt 200!\n/c.txt /b.txt 404!", a__txt="a", b__txt="b", c__txt="c")
        assert visit(acme, "/a.txt").text == "b"
        assert visit(acme, "/c.txt", 404).text == "b"

    def test_a_target_that_is_not_there_is_404(self, acme):
        publish(acme, "/a /none.html 200", **{"404__html": "lost"})
        assert visit(acme, "/a", 404).text == "lost"

    def test_rewrites_do_not_go_in_circles(self, acme):
        publish(acme, "/a /b 200\n/b /a 200\n/c /c 302\n/* /none 200!")
        for path in ("/a", "/b", "/x"):
            visit(acme, path, 404)
        visit(acme, "/c", "*")


class TestBadRedirects:
    @pytest.mark.parametrize(
        "line",
        [
            "/only",
            "old /new",
            "//evil /new",
            "/old new",
            "/old //evil.example",
            "/old javascript:alert(1)",
            "/old data:text/html,x",
            "/old ftp://example.com/",
            "/old https://",
            "/old http:///x",
            "/old https://[bad/",
            "/old https://example.com:99999/",
            "/old /new 200x",
            "/old /new 999",
            "/old /new 418",
            "/old /new 0",
            "/old /new -301",
            "/old /new 301!!",
            "/old /new ٣٠١",
            "/old /new 301 Country=us",
            "/old /new Language=de",
            "/old id=:id /new 301",
            "/a/*/b/* /new",
            "/u/:id/:id /new",
            "/old /new/:other",
            "/old /new/:splat",
            "/old https://example.com/x 200",
            "/old\x00 /new",
            "/old /new\x07",
            "https://example.com/old /new",
            b"/old\xff /new",
        ],
        ids=ascii,
    )
    def test_a_line_that_is_not_understood_is_refused_by_its_number(self, standing, line):
        bad = line if isinstance(line, bytes) else line.encode()
        text = b"# first\r\n/fine /new\n\n" + bad + b"\n/other /new\n"
        detail = publish(standing, text, status=422)["detail"]
        assert detail.startswith(REFUSED)
        assert "_redirects" in detail
        assert "line 4" in detail
        assert_stands(standing)

    def test_so_is_a_file_with_too_many(self, acme):
        many = "\n".join(f"/a{number} /b" for number in range(20_000))
        assert "_redirects" in publish(acme, many, status=422)["detail"]
        wild = "\n".join(f"/a{number}/* /b" for number in range(5_000))
        assert "_redirects" in publish(acme, wild, status=422)["detail"]
        acme.get(f"{PAGES}/team/site", 404)

    def test_hundreds_are_fine(self, acme):
        publish(acme, "\n".join(f"/a{number} /b{number}" for number in range(900)))
        assert location(acme, "/a899") == "/b899"

    @pytest.mark.parametrize(
        "rule",
        ["/*a*b*c /x", "/" + "*" * 50 + " /x", "/" + ":a" * 30 + " /x", "/(a+)+$ /x", "/[ /x"],
    )
    def test_no_rule_takes_long_to_be_matched(self, acme, rule):
        if acme.publish_page("p", {"_redirects": rule, "a": "a"}, "*").get("path"):
            assert acme.visit("p/" + "a" * 3000 + "!", "*").status_int < 500

    def test_rules_in_a_folder_are_content(self, acme):
        acme.publish_page("p", {"d/_redirects": "nonsense", "d/_headers": "nonsense"})
        assert acme.visit("p/d/_redirects").text == "nonsense"

    def test_empty_files_say_nothing(self, acme):
        publish(acme, "", "")
        publish(acme, "# nothing\n", "\n\n#\n")
        assert visit(acme, "/").text == "home"


class TestHeaders:
    @pytest.mark.parametrize(
        ("rules", "path", "name", "value"),
        [
            ("/*\n  X-Own: a", "/", "X-Own", "a"),
            ("/*\n  X-Own: a", "/d/x.txt", "X-Own", "a"),
            ("/d/*\n\tX-Own:a  ", "/d/x.txt", "X-Own", "a"),
            ("/d/*\n  X-Own: a", "/", "X-Own", None),
            ("/d/x.txt\n  X-Own: a:b, c", "/d/x.txt", "X-Own", "a:b, c"),
            ("/d/:file\n  X-Own: a", "/d/x.txt", "X-Own", "a"),
            ("/index.html\n  X-Own: a", "/index.html", "X-Own", "a"),
            ("/*\n  X-Own: a\n  X-Own: b", "/", "X-Own", "a, b"),
            (
                "/*\n  Cache-Control: public, max-age=60",
                "/d/x.txt",
                "Cache-Control",
                "public, max-age=60",
            ),
            ("/d/*\n  Content-Type: text/css", "/d/x.txt", "Content-Type", "text/css"),
            ("/*\n  Content-Language: de", "/", "Content-Language", "de"),
            ("/*\n  Referrer-Policy: no-referrer", "/", "Referrer-Policy", "no-referrer"),
            ("/*\n  Link: </a.css>; rel=preload", "/", "Link", "</a.css>; rel=preload"),
            ("# top\r\n\r\n/*\r\n  # why\r\n  X-Own: a\r\n", "/", "X-Own", "a"),
            ("/*\n  Access-Control-Allow-Origin: *", "/", "Access-Control-Allow-Origin", "*"),
            ("/*\n  X-Content-Type-Options: nosniff", "/", "X-Content-Type-Options", "nosniff"),
        ],
    )
    def test_a_file_has_what_is_said_of_it(self, acme, rules, path, name, value):
        publish(acme, None, rules, **{"d/x__txt": "x"})
        for method in ("GET", "HEAD"):
            found = visit(acme, path, method=method).headers.getall(name)
            assert found == ([] if value is None else [value])

    def test_the_sandbox_stays_whatever_is_said(self, acme):
        publish(acme, None, "/*\n  X-Own: a\n  Referrer-Policy: no-referrer\n  Refresh: 9")
        headers = visit(acme, "/").headers
        [policy] = headers.getall("Content-Security-Policy")
        assert policy.startswith("sandbox ")
        assert "allow-same-origin" not in policy
        assert headers.getall("X-Content-Type-Options") == ["nosniff"]
        assert headers.getall("Access-Control-Allow-Origin") == ["*"]

    def test_a_304_and_a_206_have_them_too(self, acme):
        publish(acme, None, "/*\n  Cache-Control: max-age=60")
        tag = visit(acme, "/").headers["ETag"]
        assert visit(acme, "/", 304, If_None_Match=tag).headers["Cache-Control"] == "max-age=60"
        assert visit(acme, "/", 206, Range="bytes=0-1").headers["Cache-Control"] == "max-age=60"

    def test_what_is_not_found_is_not_kept_for_longer(self, acme):
        publish(acme, None, "/*\n  Cache-Control: max-age=60", **{"404__html": "lost"})
        assert "no-cache" in visit(acme, "/none", 404).headers["Cache-Control"]


FORBIDDEN = [
    *("Set-Cookie: a=b", "Set-Cookie2: a=b", "SET-COOKIE: a=b", "Clear-Site-Data: *"),
    *("Content-Security-Policy: sandbox allow-scripts allow-same-origin", "X-Accel-Redirect: /etc"),
    *("Content-Security-Policy-Report-Only: default-src *", "X-Sendfile: /etc/passwd"),
    *("Strict-Transport-Security: max-age=1", "Access-Control-Allow-Credentials: true"),
    *("Service-Worker-Allowed: /", "Access-Control-Allow-Origin: https://evil.example"),
    *("Access-Control-Allow-Headers: x", "Access-Control-Allow-Methods: PUT", "Location: /x"),
    *("Content-Length: 1", "Content-Encoding: br", "Transfer-Encoding: chunked", "Connection: x"),
    *("ETag: x", "Last-Modified: x", "Vary: *", "Date: x", "Server: x", "Status: 500", "Host: x"),
    *("WWW-Authenticate: Basic", "Content-Range: x", "Accept-Ranges: none", "Trailer: x"),
    *("X-Content-Type-Options: sniff", "Alt-Svc: h3", "Public-Key-Pins: x", "NEL: {}"),
    *("Report-To: {}", "Reporting-Endpoints: x", "Origin-Agent-Cluster: ?0", "X-Request-Id: x"),
    *("Repr-Digest: x", "Upgrade: x", "Keep-Alive: x", "Proxy-Authenticate: x", "Expect-CT: x"),
    *("X-Accel-Buffering: no", "X-Accel-Expires: 1", "X-Lighttpd-Send-File: /etc/passwd"),
    *(
        "X-LiteSpeed-Location: /x",
        "X-Sendfile2: /etc/passwd 0-",
        "X-Reproxy-URL: http://127.0.0.1/",
    ),
    *(
        "Speculation-Rules: x",
        "Access-Control-Max-Age: 9",
        "Access-Control-Expose-Headers: x",
        "Supports-Loading-Mode: x",
    ),
]
NO_HEADER = [
    *("X-Own", ": x", "X Own: x", "X-Own : x\x00", "Ümlaut: x", "X-Own: ümlaut", "X-Own: a\x0bb"),
    *("X-Own: \x7f", "X(: x", "X-Own:" + "x" * 10_000),
]


class TestBadHeaders:
    @pytest.mark.parametrize("line", [*FORBIDDEN, *NO_HEADER], ids=lambda line: ascii(line)[:50])
    def test_what_a_page_may_not_say_is_refused_by_its_line(self, standing, line):
        text = f"# first\n/*\n  X-Own: a\n\n  {line}\n  X-Other: b\n"
        detail = publish(standing, None, text, 422)["detail"]
        assert detail.startswith(REFUSED)
        assert "_headers" in detail
        assert "line 5" in detail
        assert_stands(standing)

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("  X-Own: a\n/*\n", 1),
            ("\nX-Own: a\n", 2),
            ("*\n  X-Own: a\n", 1),
            ("//x\n  X-Own: a\n", 1),
            ("/a/*/b/*\n  X-Own: a\n", 1),
            ("https://example.com/*\n  X-Own: a\n", 1),
            ("/*\n  X-Own: a\rSet-Cookie: a=b\n", 2),
            ("/*\n  X-Own: a\u2028Set-Cookie: a=b\n", 2),
            ("/*\n  X-Own: a\x0cSet-Cookie: a=b\n", 2),
        ],
        ids=ascii,
    )
    def test_so_is_what_cannot_be_read(self, acme, text, line):
        detail = publish(acme, None, text, 422)["detail"]
        assert "_headers" in detail
        assert f"line {line}" in detail
        assert_refused(acme.get(f"{PAGES}/team/site", 404), 404, "not currently published")
