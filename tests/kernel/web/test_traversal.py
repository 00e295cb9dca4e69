"""A URL is walked segment by segment, each meaning itself; at a literal node the rest goes along."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.base import Invalid, NotFound
from hubrepo.kernel.web import Literal, Resource, Traverser, has_encoded_slash


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


@pytest.mark.parametrize(
    ("path_info", "names", "view_name", "subpath"),
    [
        ("", [], "", ()),
        ("/", [], "", ()),
        ("/a", ["a"], "", ()),
        ("/a/", ["a"], "", ()),
        ("/a/b/c", ["a", "b", "c"], "", ()),
        ("/a/b/c/", ["a", "b", "c"], "", ()),
        ("/@@", ["@@"], "", ()),
        ("/a/@@view", ["a", "@@view"], "", ()),
        ("/a/..b/.c/...", ["a", "..b", ".c", "..."], "", ()),
        ("/%2e%2e/%2F", ["%2e%2e", "%2F"], "", ()),
        ("/ä/ /\u202e", ["ä", " ", "\u202e"], "", ()),
        ("/a\\b/c:d;e", ["a\\b", "c:d;e"], "", ()),
        ("/nothing", [], "nothing", ()),
        ("/a/nothing/", ["a"], "nothing", ()),
        ("/a/nothing/b", ["a"], "nothing", ("b",)),
        ("/a/nothing/b/c", ["a"], "nothing", ("b", "c")),
        ("/files", ["files"], "", ()),
        ("/files/", ["files"], "", ()),
        ("/files/x", ["files", "x"], "", ()),
        ("/files/x/", ["files", "x/"], "", ()),
        ("/files//x", ["files", "/x"], "", ()),
        ("/files/a//b/../c/./nothing", ["files", "a//b/../c/./nothing"], "", ()),
        ("/files/..", ["files", ".."], "", ()),
        ("/files/a\nb", ["files", "a\nb"], "", ()),
        ("/a/files/@@x", ["a", "files", "@@x"], "", ()),
    ],
)
def test_a_path_leads_where_it_says(path_info, names, view_name, subpath):
    assert walked(path_info) == (names, view_name, subpath)


@pytest.mark.parametrize("path_info", ["//", "//a", "/a//", "/a//b", "/a/b//", "//files/x"])
def test_an_empty_segment_is_no_child_of_anything(path_info):
    with pytest.raises(NotFound):
        walked(path_info)


@pytest.mark.parametrize("path_info", ["/.", "/..", "/a/../b", "/a/./b", "/a/..", "/../files/x"])
def test_dots_are_no_way_to_elsewhere(path_info):
    with pytest.raises(Invalid, match="segments"):
        walked(path_info)


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\x1f", "\x7f", "\t"])
def test_control_characters_are_refused(character):
    with pytest.raises(Invalid, match="control characters"):
        walked(f"/a{character}b/c")


def test_no_header_chooses_where_the_walk_begins():
    assert walked("/a", HTTP_X_VHM_ROOT="/files") == (["a"], "", ())


@given(st.text(max_size=40))
def test_below_a_literal_node_any_rest_arrives_as_it_was_sent(rest):
    assert walked(f"/files/{rest}")[0] == (["files", rest] if rest else ["files"])


@given(st.text(alphabet="ab./\n@\\ ", max_size=20))
def test_walking_adds_nothing_and_leaves_nothing_out(path):
    try:
        names, view_name, subpath = walked(f"/{path}")
    except (NotFound, Invalid):
        return
    assert (view_name, subpath) == ("", ())
    assert "/".join(names) == path.removesuffix("/")


@pytest.fixture(scope="module")
def site(hub):
    acme = hub.organisation()
    acme.publish("widget")
    acme.publish_page("site", {"index.html": "hello", "a/b.txt": "b"})
    return acme


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/packages/widget", 200),
        ("/api/packages/widget/", 200),
        ("/api/packages//widget", 404),
        ("/api//packages/widget", 404),
        ("//api/packages/widget", 404),
        ("/api/packages/widget//", 404),
        ("/api/packages/x/../widget", 400),
        ("/api/packages/./widget", 400),
        ("/api/packages/%2e%2e/packages/widget", 400),
        ("/api/packages/wid%00get", 400),
        ("/api/packages/widget%0A", 400),
        ("/api/packages/%2Fwidget", 404),
        ("/API/packages/widget", 404),
        ("/api/@@packages/widget", 404),
        ("/@@api/packages/widget", 404),
        ("/api/pages/site", 200),
        ("/api/pages/site/", 200),
    ],
)
def test_an_api_url_is_what_it_says(site, path, status):
    assert site.call("GET", path).status_int == status


def test_a_host_root_of_the_client_is_ignored(site):
    headers = {"X-Vhm-Root": "/api/packages"}
    assert site.call("GET", "/widget", headers=headers).status_int == 404
    site.get("/api/packages/widget", headers=headers)


@pytest.mark.parametrize(
    "rest",
    [
        "site/../site/",
        "site//",
        "site/./a/b.txt",
        "site/a//b.txt",
        "site/a/../a/b.txt",
        "/site/",
    ],
)
def test_nothing_of_a_public_path_is_bent_into_another(site, rest):
    site.visit(rest, status=404)


@pytest.mark.parametrize(
    ("sent", "has_one"),
    [
        *(("/a/b", False), ("/a%2fb", True), ("/a%2Fb/", True), ("/a%252fb", False)),
        *(("/a/b?c=%2f", False), ("/a%2fb?c", True), ("", False), ("http://a/b%2fc", True)),
    ],
)
def test_a_slash_that_was_encoded_is_known_where_the_server_tells_what_was_sent(sent, has_one):
    assert has_encoded_slash(Asked("/a/b", REQUEST_URI=sent)) is has_one
    assert not has_encoded_slash(Asked("/a/b"))
