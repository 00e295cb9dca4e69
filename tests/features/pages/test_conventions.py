"""`_redirects` and `_headers`, as static hosts write them: read, or refused with the line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.features.pages.conventions import (
    ALLOWED,
    MAX_RULES,
    MAX_SIZE,
    MAX_WILD,
    BadRule,
    read_rules,
)
from hubrepo.features.pages.rules import Redirect, Rules


def redirects(text):
    rules = read_rules(text if isinstance(text, bytes) else text.encode(), None)
    return list(rules.redirects) if rules else []


def headers(text):
    rules = read_rules(None, text if isinstance(text, bytes) else text.encode())
    return [(each.source, dict(each.headers)) for each in rules.headers] if rules else []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("/a /b", Redirect("/a", "/b", 301, False)),
        ("/a /b 301!", Redirect("/a", "/b", 301, True)),
        ("/* /index.html 200", Redirect("/*", "/index.html", 200, False)),
        ("/* /404.html 404", Redirect("/*", "/404.html", 404, False)),
        ("  /a \t /b\t308 \r", Redirect("/a", "/b", 308, False)),
        ("/a /b # a remark", Redirect("/a", "/b", 301, False)),
        ("\ufeff/a /b", Redirect("/a", "/b", 301, False)),
        ("/a /b#here", Redirect("/a", "/b#here", 301, False)),
        ("/a http://[::1]:8080/x", Redirect("/a", "http://[::1]:8080/x", 301, False)),
        ("/a/:b /c?b=:b", Redirect("/a/:b", "/c?b=:b", 301, False)),
        ("/%C3%BC /x", Redirect("/%C3%BC", "/x", 301, False)),
        ("/u\u0308 /u\u0308 200", Redirect("/u\u0308", "/u%CC%88", 200, False)),
    ],
)
def test_a_line_is_a_rule(line, rule):
    assert redirects(line) == [rule]


def test_lines_keep_their_order_and_empty_ones_and_remarks_say_nothing():
    text = "# moved\r\n\r\n/b /x\r\n   # more\n\t\n/a /y 302"
    assert [each.source for each in redirects(text)] == ["/b", "/a"]


@pytest.mark.parametrize("data", [None, b"", b"\n\n", b"# nothing yet\n", b"\xef\xbb\xbf"])
def test_a_file_without_rules_is_none(data):
    assert read_rules(data, data) is None


def a_path(word):
    return f"speaks of {word!r}, which is not a path within the page, such as /old"


NEITHER = "which is neither a path within the page nor a URL"
CONDITION = "has a condition, which is not supported: a path, a target, and a status are"
MISSING = "must name a path and where it leads, such as /old /new 301"
ONE_NAME = "has more than one *, or a name twice"
NO_TEXT = "has characters that are no text"
FILE_ONLY = "a file of the page must be sent"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/a", MISSING),
        ("a /b", a_path("a")),
        ("//a /b", a_path("//a")),
        ("/a?b=c /d", "speaks of '/a?b=c': a path has no query and no fragment here"),
        ("/a#b /d", "speaks of '/a#b': a path has no query and no fragment here"),
        ("/*/* /b", ONE_NAME),
        ("/:a/:a /b", ONE_NAME),
        ("/a 301", f"leads to '301', {NEITHER}"),
        ("/a b", f"leads to 'b', {NEITHER}"),
        ("/a //example.com", f"leads to '//example.com', {NEITHER}"),
        ("/a ftp://example.com/", f"leads to 'ftp://example.com/', {NEITHER}"),
        ("/a javascript:alert(1)", f"leads to 'javascript:alert(1)', {NEITHER}"),
        ("/a data:text/html,x", f"leads to 'data:text/html,x', {NEITHER}"),
        ("/a \\\\example.com", f"leads to {chr(92) * 2 + 'example.com'!r}, {NEITHER}"),
        ("/a https://", "leads to 'https://', which is not a URL"),
        ("/a https://[::1", "leads to 'https://[::1', which is not a URL"),
        ("/a https://x:port/", "leads to 'https://x:port/', which is not a URL"),
        ("/a https://exämple.com/", "leads to 'https://exämple.com/', which is not a URL"),
        ("/* https://:splat/", "leads to 'https://:splat/', which is not a URL"),
        ("/a https://example.com/ 200", f"leads to 'https://example.com/', but with 200 {FILE_ONLY}"),
        ("/a /b?c 200", f"leads to '/b?c', but with 200 {FILE_ONLY}"),
        ("/a /b#c 404", f"leads to '/b#c', but with 404 {FILE_ONLY}"),
        ("/a /:b", "leads to :b, which its path does not name"),
        ("/a /:splat", "leads to :splat, which its path does not name"),
        ("/a /b 418", "has the status '418', which is none of 200, 301, 302, 303, 307, 308, 404"),
        ("/a /b 301!!", "has the status '301!!', which is none of 200, 301, 302, 303, 307, 308, 404"),
        ("/a /b ٣٠١", "has the status '٣٠١', which is none of 200, 301, 302, 303, 307, 308, 404"),
        ("/a /b 302 Country=de", CONDITION),
        ("/a id=:id /b", CONDITION),
        ("/a id=:id /b/:id 301", CONDITION),
        ("/a /b 301 /c", CONDITION),
        (b"/\xff /b", NO_TEXT),
        ("/a\0 /b", NO_TEXT),
        ("/a\x1b[2J /b", NO_TEXT),
        ("/a\u2028/b /c", NO_TEXT),
        ("# \0", NO_TEXT),
        ("/\ufffd /b", NO_TEXT),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_followed_is_refused_by_its_number(line, reason):
    data = line if isinstance(line, bytes) else line.encode()
    with pytest.raises(BadRule) as caught:
        redirects(b"# first\n\n/good /one\n" + data + b"\n/more /rules\n")
    assert str(caught.value).startswith(f"`_redirects` line 4 {reason}")


@pytest.mark.parametrize(
    "line",
    ["/x /%3Afoo 200", "/x /a%00b 200", "/x /a%0Ab 200", "/x /%ff 200", "/%ff /x", "/a%00b /x"],
)
def test_what_is_hidden_in_an_encoding_is_refused_or_harmless(line):
    """No visitor is answered with an error of ours, and no database is asked for what it cannot hold."""
    try:
        lead = Rules(redirects(line)).lead("/x")
    except BadRule:
        return
    assert lead is None or lead.target.isprintable()


def test_an_encoded_star_and_colon_are_characters():
    assert Rules(redirects("/a%2Ab /x")).lead("/aXb") is None
    assert Rules(redirects("/%3Aa /x")).lead("/anything") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a\n  X-One: 1", [("/a", {"x-one": "1"})]),
        ("/a\n\tX-One:1 \r\n\n  X-Two: a: b\n", [("/a", {"x-one": "1", "x-two": "a: b"})]),
        ("/a\nX-One: 1\n/b\nX-One: 2", [("/a", {"x-one": "1"}), ("/b", {"x-one": "2"})]),
        ("/a\n  X-One: 1\n  x-one: 2", [("/a", {"x-one": "1, 2"})]),
        ("# why\n/a/*\n  # because\n  Link: </x>; rel=preload", [("/a/*", {"link": "</x>; rel=preload"})]),
        ("/a b\n  X-One: 1", [("/a b", {"x-one": "1"})]),
        ("/%C3%BC\n  X-One: 1", [("/%C3%BC", {"x-one": "1"})]),
        # What is so in any case is not worth a word.
        ("/a\n  Access-Control-Allow-Origin: *\n  X-Content-Type-Options: nosniff", [("/a", {})]),
        ("/a", [("/a", {})]),
    ],
)  # fmt: skip
def test_paths_have_headers(text, expected):
    assert headers(text) == expected


# Headers of the whole host, of people, of proxies and of the answer itself.
FORBIDDEN = """
    set-cookie set-cookie2 clear-site-data strict-transport-security public-key-pins expect-ct nel
    report-to reporting-endpoints repr-digest alt-svc service-worker-allowed origin-agent-cluster
    accept-ch set-login speculation-rules supports-loading-mode content-security-policy
    content-security-policy-report-only x-content-security-policy access-control-allow-origin
    access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-expose-headers access-control-max-age x-content-type-options location
    content-length content-encoding content-range accept-ranges transfer-encoding connection upgrade
    keep-alive trailer date etag last-modified vary status server host www-authenticate
    proxy-authenticate x-accel-redirect x-accel-buffering x-accel-expires x-sendfile x-sendfile2
    x-lighttpd-send-file x-litespeed-location x-reproxy-url x-request-id x-forwarded-for
    x-original-url x-rewrite-url https
"""


def test_a_header_that_a_page_may_not_set_is_refused_by_its_line():
    for lower in FORBIDDEN.split():
        for name in (lower, lower.title()):
            with pytest.raises(BadRule) as caught:
                headers(f"/*\n  X-Fine: 1\n\n  {name}: x\n")
            assert str(caught.value) == f"`_headers` line 4 sets {name}, which a page may not"


def test_a_header_that_tells_of_the_file_is_taken():
    for name in (*ALLOWED, "x-frame-options", "x-robots-tag", "x-anything"):
        assert headers(f"/*\n  {name.title()}: 1") == [("/*", {name: "1"})]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("X-One: 1", 1, "has a header before any path, or a path that does not begin with /"),
        ("a/b\n  X-One: 1", 1, "has a header before any path, or a path that does not begin with /"),
        ("/a\n  X-One", 2, "must be a header, such as Cache-Control: max-age=60"),
        ("/a\n  : 1", 2, "must be a header, such as Cache-Control: max-age=60"),
        ("/a\n  X One: 1", 2, "must be a header, such as Cache-Control: max-age=60"),
        ("/a\n  X-One: ü", 2, "must be a header, such as Cache-Control: max-age=60"),
        (f"/a\n  X-One: {'x' * 1001}", 2, "is longer than 1000 characters"),
        (f"/a\n  X-{'x' * 99}: 1", 2, "must be a header, such as Cache-Control: max-age=60"),
        ("/a\n  X(: 1", 2, "must be a header, such as Cache-Control: max-age=60"),
        ("/a\n  X-One: \x7f", 2, NO_TEXT),
        ("/a\n  X-One: 1\u2028X-Two: 2", 2, NO_TEXT),
        ("/a\n  X-One: 1\rX-Two: 2", 2, NO_TEXT),
        (b"/a\n  X-One: \xff", 2, NO_TEXT),
        ("//a\n  X-One: 1", 1, a_path("//a")),
        ("/*/*\n  X-One: 1", 1, ONE_NAME),
        ("/a?b\n  X-One: 1", 1, "speaks of '/a?b': a path has no query and no fragment here"),
    ],
)  # fmt: skip
def test_headers_that_make_no_sense_are_refused_by_their_line(text, line, reason):
    with pytest.raises(BadRule) as caught:
        headers(text)
    assert str(caught.value) == f"`_headers` line {line} {reason}"


def test_there_may_be_so_many_rules_and_no_more():
    plain = [f"/{number} /x" for number in range(MAX_RULES)]
    wild = [f"/{number}/* /x" for number in range(MAX_WILD)]
    full = plain[: MAX_RULES - MAX_WILD] + wild
    assert len(redirects("\n".join(full))) == MAX_RULES
    for lines, number in (([*full, "/z /x"], MAX_RULES + 1), ([*wild, "/z/:a /x"], MAX_WILD + 1)):
        with pytest.raises(BadRule, match=f"`_redirects` line {number} is one rule too many"):
            redirects("\n".join(lines))
    paths = [f"/{number}\n  X-One: 1" for number in range(MAX_WILD)]
    assert len(headers("\n".join(paths))) == MAX_WILD
    with pytest.raises(BadRule, match=f"`_headers` line {2 * MAX_WILD + 1} is one path too many"):
        headers("\n".join([*paths, "/z"]))


@pytest.mark.parametrize("read", [redirects, headers])
def test_a_file_may_be_so_large_and_no_larger(read):
    assert read(b"#" * MAX_SIZE) == []
    with pytest.raises(BadRule, match=r"^`_(redirects|headers)` must not exceed 64 KiB$"):
        read(b"#" * (MAX_SIZE + 1))


# Pieces of lines, rather than characters: most of what comes of them is nearly right.
PIECES = st.sampled_from(
    ["/", "/a", "/*", "/:a", ":a", ":splat", " ", " ", "\t", "\n", "\n", "301", "200!", "#", "ü", "%3A",
     "%2A", "%00", "https://e.org", "?q=", "X-A: ", "Link: x", "=", "\\", "\0", "//", "b", ".html"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join)
PATHS = st.sampled_from(["/", "/a", "/a/", "/b/ü", "/a/b.html", "/%3A", "/:a", "/*", "/a/:splat"])


def read_or_refused(moved, told):
    """The rules in the two files, or why there are none."""
    try:
        return read_rules(moved, told)
    except BadRule as error:
        return str(error)


@given(TEXTS, TEXTS, PATHS)
def test_any_file_is_refused_with_its_line_or_can_be_followed_and_kept(moved, told, path):
    rules = read_or_refused(f"/a/* /:splat\n{moved}".encode(), f"/*\n{told}".encode())
    if isinstance(rules, str):
        assert rules.startswith(("`_redirects` line ", "`_headers` line "))
        return
    again = Rules.load(rules.dump())
    for forced in (False, True):
        lead = rules.lead(path, forced=forced)
        assert again.lead(path, forced=forced) == lead
        if lead is not None and not lead.is_rewrite:
            # It goes into a header as it is.
            assert lead.target.isascii()
            assert lead.target.isprintable()
    found = rules.headers_for(path)
    assert again.headers_for(path) == found
    assert all(f"{name}{value}".isascii() and value.isprintable() for name, value in found.items())
