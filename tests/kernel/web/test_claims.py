"""What a part claims for a path holds there and below, until a longer claim."""

from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.web import Claims


def test_the_longest_claim_wins_and_words_are_whole():
    claims = Claims("nobody's")
    for path in ("/a", "/a/b/c", "/ab"):
        claims.add(path, path)
    for holds, paths in {
        "/a": ("/a", "/a/", "/a/x", "/a/b", "/a/b/cd"),
        "/a/b/c": ("/a/b/c", "/a/b/c/d/e"),
        "/ab": ("/ab", "/ab/c"),
        "nobody's": ("/", "", "/abc", "/A", "a", "//a", "/x/a"),
    }.items():
        assert {path: claims.at(path) for path in paths} == dict.fromkeys(paths, holds)
    assert sorted(claims) == ["/a", "/a/b/c", "/ab", "nobody's"]


@given(
    paths=st.lists(st.text("ab/", max_size=5).map(lambda text: f"/{text}"), unique=True),
    asked=st.text("ab/", max_size=7).map(lambda text: f"/{text}"),
)
def test_the_order_of_claims_does_not_matter(paths, asked):
    found = []
    for order in (paths, paths[::-1]):
        claims = Claims(None)
        for path in order:
            claims.add(path, path)
        found.append(claims.at(asked))
    above = [path for path in paths if asked == path or asked.startswith(f"{path}/")]
    assert found == [max(above, key=len, default=None)] * 2
