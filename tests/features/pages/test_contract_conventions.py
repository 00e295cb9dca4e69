"""`_redirects` and `_headers` of a page, as visitors and publishers see them: section 11.

How lines are read and which rule speaks of a path is tested in `test_conventions` and `test_rules`.
"""

import pytest

from tests.support.hub import Client

PAGES = "/api/pages"


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


class TestRedirects:
    def test_a_rule_leads_on_and_keeps_the_query(self, acme):
        publish(acme, "/old /new\n/own /new?a=1\n/far https://example.com/x 302\n/part /new#here")
        assert location(acme, "/old") == location(acme, "/old/") == "/new"
        assert location(acme, "/old?q=1&r=%2F") == "/new?q=1&r=%2F"
        assert location(acme, "/far?q=1", 302) == "https://example.com/x?q=1"
        assert location(acme, "/part?q=1") == "/new?q=1#here"
        assert location(acme, "/own?q=1").startswith("/new?a=1")
        visit(acme, "/team/site/old", 404)

    def test_it_is_right_below_a_prefix(self, acme):
        publish(acme, "/old /new\n/a/* /b/:splat 302\n/s/* /index.html 200")
        below = Client(acme.hub, acme.slug, acme.key, prefix="/workshop")
        target = visit(below, "/old", 301).headers["Location"].removeprefix("http://localhost")
        assert target == f"/workshop/pages/{acme.slug}/team/site/new"
        assert location(below, "/a/x?q=1", 302) == "/b/x?q=1"
        assert visit(below, "/s/x").text == "home"

    def test_a_file_that_is_there_goes_first_unless_the_rule_is_forced(self, acme):
        publish(acme, "/a.txt /b.txt 302\n/c.txt /b.txt 302!", a__txt="a", b__txt="b", c__txt="c")
        assert visit(acme, "/a.txt").text == "a"
        assert location(acme, "/c.txt", 302) == "/b.txt"

    def test_without_a_file_the_first_rule_counts_though_a_later_one_is_forced(self, acme):
        """Static hosts follow the first line that matches, from top to bottom."""
        publish(acme, "/a /first 302\n/* /forced 301!\n")
        assert location(acme, "/a", 302) == "/first"

    def test_what_is_filled_in_leads_nowhere_else(self, acme):
        publish(acme, "/s/* /:splat")
        paths = ("%0d%0aX-Evil:%201", "/evil.example", "%2Fevil.example", "%5Cevil", "?")
        for path in paths:
            response = visit(acme, f"/s/{path}", "*")
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

    @pytest.mark.backend
    def test_a_rollback_brings_the_rules_of_that_publication_back(self, acme):
        publish(acme, "/old /one", "/*\n  X-Which: one")
        publish(acme, "/old /two", "/*\n  X-Which: two")
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
        assert visit(acme, "/u/a").text == visit(acme, "/f/a.txt").text == "a"
        visit(acme, "/u/b", 404)
        for path in ("../../a", "..", "%00", "/a.txt", "_redirects", "pages.toml"):
            assert 400 <= visit(acme, f"/f/{path}", "*").status_int < 500

    def test_404_sends_the_file_as_not_found(self, acme):
        publish(acme, "/gone/* /gone.html 404", gone__html="gone")
        assert visit(acme, "/gone.html").text == "gone"
        assert visit(acme, "/gone/x", 404).text == "gone"
        assert visit(acme, "/gone/x", 404, If_None_Match="*").text == "gone"

    def test_a_forced_one_hides_the_file(self, acme):
        publish(acme, "/a.txt /b.txt 200!\n/c.txt /b.txt 404!", a__txt="a", b__txt="b", c__txt="c")
        assert visit(acme, "/a.txt").text == visit(acme, "/c.txt", 404).text == "b"

    def test_a_target_that_is_not_there_is_404_and_leads_to_no_other_rule(self, acme):
        rules = "/a /b 200\n/b /a 200\n/c /c 302\n/* /none 200!"
        publish(acme, rules, **{"404__html": "lost"})
        for path in ("/a", "/b", "/x"):
            assert visit(acme, path, 404).text == "lost"
        visit(acme, "/c", 302)


class TestHeaders:
    @pytest.mark.parametrize(
        ("rules", "path", "name", "value"),
        [
            ("/*\n  X-Own: a", "/", "X-Own", "a"),
            ("/d/*\n\tX-Own:a  ", "/d/x.txt", "X-Own", "a"),
            ("/d/*\n  X-Own: a", "/", "X-Own", None),
            ("/d/:file\n  X-Own: a:b, c", "/d/x.txt", "X-Own", "a:b, c"),
            ("/index.html\n  X-Own: a", "/", "X-Own", "a"),
            ("/*\n  X-Own: a\n  X-Own: b", "/", "X-Own", "a, b"),
            ("/d/*\n  Cache-Control: max-age=60", "/d/x.txt", "Cache-Control", "max-age=60"),
            ("/d/*\n  Content-Type: text/css", "/d/x.txt", "Content-Type", "text/css"),
            ("/*\n  Access-Control-Allow-Origin: *", "/", "Access-Control-Allow-Origin", "*"),
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

    def test_a_304_and_a_206_have_them_too_and_what_is_not_found_is_not_kept_for_longer(self, acme):
        publish(acme, None, "/*\n  Cache-Control: max-age=60", **{"404__html": "lost"})
        tag = visit(acme, "/").headers["ETag"]
        assert visit(acme, "/", 304, If_None_Match=tag).headers["Cache-Control"] == "max-age=60"
        assert visit(acme, "/", 206, Range="bytes=0-1").headers["Cache-Control"] == "max-age=60"
        assert "no-cache" in visit(acme, "/none", 404).headers["Cache-Control"]

    def test_a_file_that_is_told_otherwise_what_it_is_is_another_to_those_who_have_it(self, acme):
        said = "/f.txt\n Content-Type: text/html\n Content-Disposition: attachment\n"
        publish(acme, None, said, f__txt="the same")
        before = visit(acme, "/f.txt").headers
        assert before["Content-Disposition"] == "attachment"
        visit(acme, "/f.txt", 304, If_None_Match=before["ETag"])
        publish(acme, f__txt="the same")
        after = visit(acme, "/f.txt", 200, If_None_Match=before["ETag"])
        assert after.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "Content-Disposition" not in after.headers


@pytest.mark.parametrize(
    ("redirects", "headers", "reason"),
    [
        ("/a /b\n/c\n", None, "`_redirects` line 2 must name a path and where it leads, such as /old /new 301"),
        (b"# first\r\n\n/old\xff /new", None, "`_redirects` line 3 has characters that are no text"),
        (None, "/*\n  X-A: a\n  Set-Cookie: a=b\n", "`_headers` line 3 sets Set-Cookie, which a page may not"),
        ("#" * (64 * 1024 + 1), None, "'_redirects' is larger than 65536 bytes"),
    ],
)  # fmt: skip
def test_a_page_with_a_wrong_line_is_not_published(acme, redirects, headers, reason):
    publish(acme, "/fine /index.html 200", "/*\n  X-Fine: x")
    answer = publish(acme, redirects, headers, status=422)
    assert answer == {"detail": f"invalid pages bundle - {reason}"}
    assert visit(acme, "/fine").headers["X-Fine"] == "x"
    assert acme.get(f"{PAGES}/team/site").json["publication"] == 1


def test_only_files_at_the_root_are_rules_and_these_are_not_served(acme):
    publish(acme, "# nothing\n", "\n#\n", **{"d/_redirects": "nonsense", "d/_headers": "nonsense"})
    assert visit(acme, "/d/_redirects").text == visit(acme, "/d/_headers").text == "nonsense"
    for name in ("_redirects", "_headers", "pages.toml", "PAGES.TOML"):
        visit(acme, f"/{name}", 404)
