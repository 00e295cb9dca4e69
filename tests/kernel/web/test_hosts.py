"""Surfaces claim hosts, default headers and the look of errors; each by what a URL really is below."""

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from webtest import TestApp

from hubrepo.kernel.web import Resource, RootResource, host_of, make_router, settle


class Surface(Resource):
    """A surface with a page, and a folder of its own."""

    def __getitem__(self, name):
        return Surface(self, name)


def view(context, request):
    return Response(f"{context.__name__} on {host_of(request)}")


def surfaces(*names):
    """A feature that mounts these."""

    def include(config):
        for name in names:
            config.add_mount(RootResource, name, Surface)
        config.add_view(
            view, context=Surface, request_method="GET", permission=NO_PERMISSION_REQUIRED
        )

    return include


def claim(directive, *arguments):
    """A feature that claims something."""

    def include(config):
        getattr(config, directive)(*arguments)

    # Two includes are one to Pyramid if they have one name.
    include.__qualname__ = include.__name__ = f"claim_{directive}_{arguments[0]}_{id(include)}"
    return include


@pytest.fixture
def made(tmp_path):
    """An application of the kernel and these features."""
    registries = []

    def make(*features):
        settings = {
            "hubrepo.database": f"sqlite:///{tmp_path}/hub.sqlite",
            "hubrepo.blobs": "mem://",
        }
        config = Configurator(settings=settings)
        registries.append(config.registry)
        config.include("hubrepo.kernel")
        for feature in features:
            config.include(feature)
        config.commit()
        settle(config)
        return TestApp(make_router(config), extra_environ={"REMOTE_ADDR": "127.0.0.1"})

    yield make
    for registry in registries:
        registry.database.close()


def status(app, path, host):
    return app.get(path, headers={"Host": host}, status="*").status_int


HOSTS = [
    "pages.example.net",
    "pages.example.net:80",
    "pages.example.net:8443",
    "Pages.Example.NET",
    "pages.example.net.",
    "PAGES.example.net.:8080",
    "pages.example.net:",
]
OTHERS = [
    "example.net",
    "www.pages.example.net",
    "pages.example.net.evil.org",
    "xpages.example.net",
    "pages.example.net:80:80",
    "[::1]:80",
    "127.0.0.1",
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("claimed", ["pages.example.net", "Pages.example.net.:8443"])
def test_a_claimed_host_has_one_surface_however_it_is_spelled(made, claimed, host):
    app = made(surfaces("pages", "other"), claim("add_host", claimed, "pages"))
    assert [status(app, path, host) for path in ("/pages/x", "/other/x", "/_ah/health")] == [
        200,
        404,
        404,
    ]


@pytest.mark.parametrize("host", OTHERS)
def test_other_hosts_have_everything(made, host):
    app = made(surfaces("pages", "other"), claim("add_host", "pages.example.net", "pages"))
    assert [status(app, path, host) for path in ("/pages/x", "/other/x")] == [200, 200]


def test_two_hosts_may_be_claimed_for_one_surface_and_each_for_its_own(made):
    app = made(
        surfaces("a", "b"),
        claim("add_host", "a.example", "a"),
        claim("add_host", "a2.example", "a"),
        claim("add_host", "b.example", "b"),
    )
    found = {
        host: [status(app, path, host) for path in ("/a", "/b")]
        for host in ("a.example", "a2.example", "b.example", "c.example")
    }
    assert found == {
        "a.example": [200, 404],
        "a2.example": [200, 404],
        "b.example": [404, 200],
        "c.example": [200, 200],
    }


def shaped(text):
    return lambda _error: text


@pytest.mark.parametrize(
    ("directive", "one", "two"),
    [
        ("add_host", ("pages.example", "a"), ("Pages.example.:80", "b")),
        ("add_hygiene", ("/a", ()), ("/a", ())),
        ("add_error_shape", ("/a", shaped("x")), ("/a", shaped("y"))),
    ],
)
def test_two_claims_to_one_place_fail_at_boot(made, directive, one, two):
    with pytest.raises(ConfigurationConflictError):
        made(claim(directive, *one), claim(directive, *two))


NOSNIFF = ("X-Content-Type-Options", "nosniff")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/x", "a"),
        ("/a//x", "a"),
        ("/a/bc", "a"),
        ("/a/b", "b"),
        ("/a/b/x", "b"),
        ("/ab", None),
        ("/ab/x", None),
        ("//a", None),
        ("/b", None),
        ("/", None),
    ],
)
def test_headers_are_those_of_the_longest_path_by_whole_segments(made, path, place, order):
    claims = [
        claim("add_hygiene", "/a", [("X-Place", "a")]),
        claim("add_hygiene", "/a/b", [("X-Place", "b")]),
    ][::order]
    answer = made(surfaces("a", "ab", "b"), *claims).get(path, status="*")
    assert answer.headers.get("X-Place") == place
    assert ("X-Frame-Options" in answer.headers) is (place is None)


def test_headers_of_a_place_are_on_its_errors_too(made):
    app = made(claim("add_hygiene", "/a", [("X-Place", "a")]))
    answers = [app.get(path, status="*") for path in ("/a/x", "/a/../b", "/a/%ff")]
    assert [each.status_int for each in answers] == [404, 404, 400]
    assert [each.headers["X-Place"] for each in answers] == ["a"] * 3


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/x/y", "a"),
        ("/a/bc", "a"),
        ("/a/b", "b"),
        ("/a/b/x", "b"),
        ("/ab", None),
        ("//a", None),
        ("/b", None),
    ],
)
def test_errors_look_as_the_longest_path_wants_them(made, path, text, order):
    claims = [
        claim("add_error_shape", "/a", shaped("a"), "text/html; charset=utf-8"),
        claim("add_error_shape", "/a/b", shaped("b"), "text/plain"),
    ][::order]
    answer = made(*claims).get(path, status=404)
    if text is None:
        assert (answer.content_type, answer.json) == ("application/json", {"detail": "Not found."})
    else:
        kind = {"a": "text/html; charset=utf-8", "b": "text/plain"}[text]
        assert (answer.headers["Content-Type"], answer.body) == (kind, text.encode())
