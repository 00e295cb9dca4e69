"""A URL is walked segment by segment, each meaning itself; at a literal node the rest goes along."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.base import Invalid, NotFound
from hubrepo.kernel.web import Literal, Resource, Traverser, has_encoded_slash
from tests.support.traversal import STRINGS, decoded


class Asked:
    """A request as far as a traverser looks at it."""

    def __init__(self, path_info, **headers):
        self.path_info = path_info
        self.headers = self.environ = headers


class Folder(Resource):
    """A node that has any child, but `nothing`; `files` takes its rest literally."""

    def __getitem__(self, name):
        if name == "nothing":
            raise KeyError(name)
        return Files(self, name) if name == "files" else Folder(self, name)


class Files(Literal):
    """A node below which nothing is walked."""

    def below(self, rest):
        return Below(self, rest)


class Below(Resource):
    """What is there."""


class Root(Folder):
    def __init__(self):
        self.__parent__, self.__name__, self.request = None, "", None


def walked(path_info, **headers):
    """Where a path leads: the names of all nodes, the view's name, what follows it."""
    found = Traverser(Root())(Asked(path_info, **headers))
    names, node = [], found["context"]
    while node.__parent__ is not None:
        names.append(node.__name__)
        node = node.__parent__
    return names[::-1], found["view_name"], found["subpath"]


def test_a_path_leads_where_it_says():
    for path_info, *names in (
        ("",), ("/",), ("/a", "a"), ("/a/", "a"), ("/a/b/c", "a", "b", "c"), ("/a/b/c/", "a", "b", "c"),
        ("/@@", "@@"), ("/a/@@view", "a", "@@view"), ("/a/..b/.c/...", "a", "..b", ".c", "..."),
        ("/%2e%2e/%2F", "%2e%2e", "%2F"), ("/ä/ /\u202e", "ä", " ", "\u202e"),
        ("/a\\b/c:d;e", "a\\b", "c:d;e"),
        ("/files", "files"), ("/files/", "files"), ("/files/x", "files", "x"), ("/files/x/", "files", "x/"),
        ("/files//x", "files", "/x"), ("/files/a//b/../c/./nothing", "files", "a//b/../c/./nothing"),
        ("/files/..", "files", ".."), ("/files/a\nb", "files", "a\nb"), ("/a/files/@@x", "a", "files", "@@x"),
    ):  # fmt: skip
        assert walked(path_info) == (names, "", ())


def test_what_is_no_child_is_the_name_of_a_view():
    assert walked("/nothing") == ([], "nothing", ())
    assert walked("/a/nothing/") == (["a"], "nothing", ())
    assert walked("/a/nothing/b/c") == (["a"], "nothing", ("b", "c"))


def test_empty_segments_dots_and_control_characters_are_refused():
    for path_info in ("//", "//a", "/a//", "/a//b", "/a/b//", "//files/x"):
        with pytest.raises(NotFound):
            walked(path_info)
    for path_info in ("/.", "/..", "/a/../b", "/a/./b", "/a/..", "/../files/x"):
        with pytest.raises(Invalid, match="segments"):
            walked(path_info)
    for character in "\0\n\r\x1f\x7f\t":
        with pytest.raises(Invalid, match="control characters"):
            walked(f"/a{character}b/c")


def test_no_header_chooses_where_the_walk_begins():
    assert walked("/a", HTTP_X_VHM_ROOT="/files") == (["a"], "", ())


@given(st.text(max_size=40))
def test_below_a_literal_node_any_rest_arrives_as_it_was_sent(rest):
    assert walked(f"/files/{rest}")[0] == (["files", rest] if rest else ["files"])


def is_walked_as_it_stands(path):
    try:
        names, view_name, subpath = walked(f"/{path}")
    except (NotFound, Invalid):
        return False
    assert (view_name, subpath) == ("", ())
    assert "/".join(names) == path.removesuffix("/")
    return True


@given(st.text(alphabet="ab./\n@\\ ", max_size=20))
def test_walking_adds_nothing_and_leaves_nothing_out(path):
    is_walked_as_it_stands(path)


def test_no_string_that_could_lead_upwards_does():
    found = [is_walked_as_it_stands(f"a/{decoded(each)}") for each in STRINGS]
    assert found.count(True) > 100
    assert found.count(False) > 100


@pytest.fixture(scope="module")
def site(hub):
    acme = hub.organisation()
    acme.publish("widget")
    acme.publish_page("site", {"index.html": "hello", "a/b.txt": "b"})
    return acme


def test_an_api_url_is_what_it_says(site):
    good = "/api/packages/widget /api/packages/widget/ /api/pages/site /api/pages/site/"
    missing = """/api/packages//widget /api//packages/widget //api/packages/widget /api/packages/widget//
        /api/packages/%2Fwidget /API/packages/widget /api/@@packages/widget /@@api/packages/widget"""
    refused = """/api/packages/x/../widget /api/packages/./widget /api/packages/%2e%2e/packages/widget
        /api/packages/wid%00get /api/packages/widget%0A"""
    for paths, status in ((good, 200), (missing, 404), (refused, 400)):
        for path in paths.split():
            assert site.call("GET", path).status_int == status, path


def test_a_host_root_of_the_client_is_ignored(site):
    headers = {"X-Vhm-Root": "/api/packages"}
    assert site.call("GET", "/widget", headers=headers).status_int == 404
    site.get("/api/packages/widget", headers=headers)


def test_nothing_of_a_public_path_is_bent_into_another(site):
    for above in ("site/../site/", "site/./a/b.txt", "site/a/../a/b.txt"):
        site.visit(above, status=404)
    for doubled in ("site//", "site/a//b.txt", "/site/"):
        site.visit(doubled, status=404)


def test_a_slash_that_was_encoded_is_known_where_the_server_tells_what_was_sent():
    for sent in ("/a%2fb", "/a%2Fb/", "/a%2fb?c", "http://a/b%2fc"):
        assert has_encoded_slash(Asked("/a/b", REQUEST_URI=sent))
    for sent in ("/a/b", "/a%252fb", "/a/b?c=%2f", ""):
        assert not has_encoded_slash(Asked("/a/b", REQUEST_URI=sent))
    assert not has_encoded_slash(Asked("/a/b"))
