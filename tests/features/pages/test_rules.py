"""Which rule speaks of a path, where it leads, and how long it takes to find out."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.features.pages.conventions import MAX_NAMES, MAX_RULES, MAX_SIZE, MAX_WILD, read_rules
from hubrepo.features.pages.rules import HeaderRule, Lead, Redirect, Rules


def rules_of(*lines, headers=""):
    return read_rules("\n".join(lines).encode(), headers.encode()) or Rules()


def led(rule, path, **options):
    """Where one line leads `path`, as `target`, or None."""
    lead = rules_of(rule).lead(path, **options)
    return lead and lead.target


@pytest.mark.parametrize(
    ("rule", "path", "target"),
    [
        ("/old /new", "/old", "/new"),
        ("/old /new", "/old/", "/new"),
        ("/old/ /new", "/old", "/new"),
        ("/old /new", "/older", None),
        ("/old /new", "/OLD", None),
        ("/ /start", "/", "/start"),
        ("/a.b /x", "/aXb", None),
        ("/a+(b)[c] /x", "/a+(b)[c]", "/x"),
        # A splat at the end is everything below, and the folder itself.
        ("/* /x", "/", "/x"),
        ("/* /x", "/a/b/c", "/x"),
        ("/old/* /new/:splat", "/old/a/b.html", "/new/a/b.html"),
        ("/old/* /new/:splat", "/old", "/new/"),
        ("/old/* /new/:splat", "/old/", "/new/"),
        ("/old/* /new/:splat", "/older", None),
        ("/old/* /new/:splat/end", "/old/a", "/new/a/end"),
        ("/old* /new", "/older/x", "/new"),
        ("/old*/end /new/:splat", "/old/a/b/end", "/new//a/b"),
        ("/old*/end /new", "/old/a/b", None),
        ("/*.php /:splat", "/a/b.php", "/a/b"),
        # A placeholder is one segment.
        ("/:a /x/:a", "/one", "/x/one"),
        ("/:a /x", "/", None),
        ("/:a /x", "/one/two", None),
        ("/:y/:m/:d/:s /posts/:s?on=:y", "/26/11/21/hi", "/posts/hi?on=26"),
        ("/:a/x/:b /:b/:a/:b", "/1/x/2", "/2/1/2"),
        ("/:a.html /:a", "/x.html", "/x"),
        ("/:a.html /:a", "/.html", None),
        ("/:a/* /:splat/:a", "/one/two/three", "/two/three/one"),
        ("/:abc/:a /:a/:abc", "/1/2", "/2/1"),
        ("/a:b /x", "/a:b", "/x"),
        ("/a:b /x", "/ac", None),
        # Bytes are compared once decoded, in one normal form.
        ("/%C3%BC /x", "/ü", "/x"),
        ("/u\u0308 /x", "/ü", "/x"),
        ("/a%20b /x", "/a b", "/x"),
        ("/%2541 /x", "/%41", "/x"),
        # What leads to a URL is encoded, and what was encoded stays so.
        ("/x /ü", "/x", "/%C3%BC"),
        ("/x https://example.com/a?b=c#d", "/x", "https://example.com/a?b=c#d"),
        ("/* /x?q=:splat", "/a b&c=d", "/x?q=a%20b%26c%3Dd"),
        ("/* https://example.com/:splat", "/ü/a?b#c", "https://example.com/%C3%BC/a%3Fb%23c"),
        ("/* https://example.com/:splat", "/:splat", "https://example.com/%3Asplat"),
        # What is sent in its place is a name of a file.
        ("/x /ü%20b.html 200", "/x", "/ü b.html"),
        ("/* /app/:splat 200", "/a b?", "/app/a b?"),
    ],
)
def test_a_rule_leads_there(rule, path, target):
    assert led(rule, path) == target


def test_the_first_of_two_lines_counts_whatever_their_kind():
    rules = rules_of("/a/* /splat", "/a/b /plain", "/a/c /early", "/:x/c /named", "/a/c /late")
    assert rules.lead("/a/b").target == "/splat"
    rules = rules_of("/a/b /plain", "/a/* /splat", "/a/b /again")
    assert [rules.lead(path).target for path in ("/a/b", "/a/c")] == ["/plain", "/splat"]
    rules = rules_of("/a/c /early", "/:x/c /named", "/a/c /late")
    assert [rules.lead(path).target for path in ("/a/c", "/b/c")] == ["/early", "/named"]


def test_only_forced_rules_are_asked_for_before_the_files():
    rules = rules_of("/a /polite", "/a /forced 301!", "/* /rest 200!")
    assert rules.lead("/a") == Lead("/polite", 301)
    assert rules.lead("/a", forced=True) == Lead("/forced", 301)
    assert rules.lead("/b", forced=True) == Lead("/rest", 200)
    assert rules_of("/a /b").lead("/a", forced=True) is None


def test_a_rule_about_a_name_that_nothing_can_have_matches_nothing():
    rules = rules_of(f"/{'%CC%81' * 31} /b\n/a /c")
    assert rules.lead("/" + "\u0301" * 31) == Lead("/b", 301)
    assert rules.lead("/a") == Lead("/c", 301)


def test_a_lead_is_a_file_or_a_url_by_its_status():
    for status in (200, 301, 302, 303, 307, 308, 404):
        lead = rules_of(f"/a /b {status}").lead("/a")
        assert (lead.status, lead.is_rewrite) == (status, status in {200, 404})


def test_headers_of_all_rules_that_match_come_together_and_the_later_counts():
    rules = rules_of(
        headers="/*\n  X-All: 1\n  X-One: first\n/a/*\n  X-One: second\n/a/:b.js\n  X-Two: 2\n"
    )
    assert rules.headers_for("/") == {"x-all": "1", "x-one": "first"}
    assert rules.headers_for("/a/b.html") == {"x-all": "1", "x-one": "second"}
    assert rules.headers_for("/a/b.js") == {"x-all": "1", "x-one": "second", "x-two": "2"}
    assert rules.headers_for("/a/b/c.js") == {"x-all": "1", "x-one": "second"}


def test_what_is_given_can_be_changed_without_changing_the_rules():
    rules = rules_of(headers="/*\n  X-All: 1\n")
    rules.headers_for("/").clear()
    assert rules.headers_for("/") == {"x-all": "1"}


WORDS = st.text(alphabet="ab:/*.-ü% +", max_size=12)
SOURCES = st.builds(
    "/{}".format, st.from_regex(r"([ab.ü-]{0,3}/){0,2}(:[ab]|\*|[ab]*)", fullmatch=True)
)
REDIRECTS = st.builds(
    Redirect, SOURCES, SOURCES.map(lambda text: text.replace(":", "")), st.sampled_from([200, 301]),
    st.booleans(),
)  # fmt: skip
HEADERS = st.builds(
    HeaderRule, SOURCES, st.lists(st.tuples(st.sampled_from(["x-a", "x-b"]), WORDS), max_size=3)
)
PATHS = st.builds("/{}".format, st.text(alphabet="ab/.ü-", max_size=8))


@given(st.lists(REDIRECTS, max_size=6), st.lists(HEADERS, max_size=4), st.lists(PATHS, max_size=6))
def test_rules_are_the_same_after_they_were_kept_as_text(redirects, headers, paths):
    rules = Rules(redirects, headers)
    again = Rules.load(rules.dump())
    assert again.dump() == rules.dump()
    for path in paths:
        assert again.lead(path) == rules.lead(path)
        assert again.lead(path, forced=True) == rules.lead(path, forced=True)
        assert again.headers_for(path) == rules.headers_for(path)


@given(st.lists(REDIRECTS, max_size=6), PATHS)
def test_a_page_s_lead_is_that_of_its_first_line_that_leads(redirects, path):
    alone = (Rules([each]).lead(path) for each in redirects)
    assert Rules(redirects).lead(path) == next((each for each in alone if each), None)


LONG = "/" + "a" * 1299


SHARE = MAX_SIZE // MAX_WILD - 40


WORST_PATHS = [LONG, "/a" * 650, "/" + "a-" * 650, "/aa/" * 325]
NAMES = "/".join(f":n{number}" for number in range(MAX_NAMES - 1))
WORST_SOURCES = [
    *("/*b", "/:a/*b", "/:a-b/*-b", "/*/:a-b", "/:a/*/b", "/*/:a/b", "/*a/:b/c"),
    *(f"{start}{'a' * SHARE}b" for start in ("/*", "/:a/*", "/:a-")),
    *(f"/*/{NAMES}/b", f"/{NAMES}/*b"),
]


def worst_rules(source):
    """Return two rules, of the many that a file can hold."""
    return rules_of(*[f"{source} /x"] * 2, headers=f"{source}\n X-A: b\n" * 2)


def test_the_worst_rules_that_a_file_can_hold_match_nothing():
    """Would not end if a pattern took exponential time."""
    for source in WORST_SOURCES:
        rules = worst_rules(source)
        for path in WORST_PATHS:
            assert (rules.lead(path), rules.headers_for(path)) == (None, {}), source


@pytest.mark.stress
@pytest.mark.serial
def test_the_worst_rules_that_a_file_can_hold_take_less_than_a_second_to_match_nothing():
    for source in WORST_SOURCES:
        rules = worst_rules(source)
        for path in WORST_PATHS:
            started = process_time()
            assert (rules.lead(path), rules.headers_for(path)) == (None, {})
            assert (process_time() - started) * MAX_WILD / 2 < 1, source


def test_plain_rules_are_looked_up_and_not_tried_one_by_one(monkeypatch):
    rules, asked = rules_of(*[f"/static-{number} /x" for number in range(MAX_RULES)]), []
    counts = Rules._counts
    monkeypatch.setattr(Rules, "_counts", lambda *args: asked.append(args[1]) or counts(*args))
    assert rules.lead("/static-7x") is None
    assert rules.lead("/static-7").target == "/x"
    assert asked == [7]
