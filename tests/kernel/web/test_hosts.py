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
        config.add_view(view, context=Surface, permission=NO_PERMISSION_REQUIRED)

    return include


def claim(directive, *arguments):
    """A feature that claims something."""

    def include(config):
        getattr(config, directive)(*arguments)

    # Two includes are one to Pyramid if they have one name.
    include.__qualname__ = include.__name__ = f"claim_{directive}_{arguments[0]}_{id(include)}"
    return include


def made(*features):
    """An application of the kernel and these features."""
    rows = {"hubrepo.database": "sqlite://", "hubrepo.blobs": "mem://"}
    config = Configurator(settings=rows)
    for feature in ("hubrepo.kernel", *features):
        config.include(feature)
    config.commit()
    settle(config)
    return TestApp(make_router(config), extra_environ={"REMOTE_ADDR": "127.0.0.1"})


def status(app, path, host):
    return app.get(path, headers={"Host": host}, status="*").status_int


def test_a_claimed_host_has_one_surface_however_it_is_spelled():
    features = surfaces("pages", "other")
    for claimed in ("pages.example.net", "Pages.example.net.:8443"):
        app = made(features, claim("add_host", claimed, "pages"))
        for host in (
            "pages.example.net", "pages.example.net:80", "pages.example.net:8443", "Pages.Example.NET",
            "pages.example.net.", "PAGES.example.net.:8080", "pages.example.net:",
        ):  # fmt: skip
            found = [status(app, path, host) for path in ("/pages/x", "/other/x", "/_ah/health")]
            assert found == [200, 404, 404], host
        for host in (
            "example.net", "www.pages.example.net", "pages.example.net.evil.org", "xpages.example.net",
            "pages.example.net:80:80", "[::1]:80", "127.0.0.1",
        ):  # fmt: skip
            assert [status(app, path, host) for path in ("/pages/x", "/other/x")] == [200, 200], (
                host
            )


def test_two_hosts_may_be_claimed_for_one_surface_and_each_for_its_own():
    hosts = {"a.example": "a", "a2.example": "a", "b.example": "b"}
    app = made(surfaces("a", "b"), *(claim("add_host", *each) for each in hosts.items()))
    for host, surface in [*hosts.items(), ("c.example", "ab")]:
        for path in "ab":
            assert status(app, f"/{path}", host) == (200 if path in surface else 404)


def shaped(text):
    return lambda _error: text


def test_two_claims_to_one_place_fail_at_boot():
    for directive, one, two in (
        ("add_host", ("pages.example", "a"), ("Pages.example.:80", "b")),
        ("add_hygiene", ("/a", ()), ("/a", ())),
        ("add_error_shape", ("/a", shaped("x")), ("/a", shaped("y"))),
    ):
        with pytest.raises(ConfigurationConflictError):
            made(claim(directive, *one), claim(directive, *two))


def below(path):
    """Which of the places /a and /a/b a path is below, by whole segments."""
    return "b" if f"{path}/".startswith("/a/b/") else "a" if f"{path}/".startswith("/a/") else None


PATHS = (
    "/a",
    "/a/",
    "/a/x",
    "/a//x",
    "/a/x/y",
    "/a/bc",
    "/a/b",
    "/a/b/x",
    "/ab",
    "/ab/x",
    "//a",
    "/b",
    "/",
)


@pytest.mark.parametrize("order", [1, -1])
def test_headers_and_errors_are_those_of_the_longest_path(order):
    kinds = {"a": "text/html; charset=utf-8", "b": "text/plain"}
    claims = []
    for place, path in (("a", "/a"), ("b", "/a/b")):
        claims.append(claim("add_hygiene", path, [("X-Place", place)]))
        claims.append(claim("add_error_shape", path, shaped(place), kinds[place]))
    app = made(*claims[::order])
    for path in PATHS:
        place, answer = below(path), app.get(path, status=404)
        assert answer.headers.get("X-Place") == place, path
        assert ("X-Frame-Options" in answer.headers) is (place is None)
        if place is None:
            assert (answer.content_type, answer.json) == (
                "application/json",
                {"detail": "Not found."},
            )
        else:
            assert (answer.headers["Content-Type"], answer.text) == (kinds[place], place)


def test_headers_of_a_place_are_on_all_its_answers():
    app = made(surfaces("a"), claim("add_hygiene", "/a", [("X-Place", "a")]))
    for path, status in (("/a/x", 200), ("/a/../b", 400), ("/a/%ff", 400), ("/a?x=1", 200)):
        assert app.get(path, status=status).headers["X-Place"] == "a"
