"""Whom a path recognises: the hub's own credentials, or those of the surface that claims it, and no other."""

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError

from hubrepo.kernel.base import Unauthenticated
from hubrepo.kernel.security.errors import CredentialsMissing
from hubrepo.kernel.security.policy import Authenticators, add_authenticator, recognised


def nobody(request):
    return None


@pytest.fixture
def authenticators():
    authenticators = Authenticators()
    authenticators.add("key", lambda _: "by key", ())
    authenticators.add("token", lambda _: "by token", ("/product", "/api/product"))
    authenticators.add("cookie", lambda _: "by cookie")
    return authenticators


def test_a_surface_with_credentials_of_its_own_takes_no_other(authenticators):
    for path in ("/", "/api", "/api/packages", "/products", "/api/products"):
        assert [each(None) for each in authenticators.at(path)] == ["by key", "by cookie"]
        assert authenticators.are_usual_at(path)
    for path in ("/product", "/product/a/b", "/api/product", "/api/product/x"):
        assert [each(None) for each in authenticators.at(path)] == ["by token"]
        assert not authenticators.are_usual_at(path)
    assert set(authenticators.by_name) == {"key", "token", "cookie"}


def test_who_is_not_recognised_is_told_what_is_missing_there():
    class TokenMissing(Unauthenticated):
        code = "token-missing"

    authenticators = Authenticators()
    authenticators.add("token", nobody, ("/product",), TokenMissing)
    assert type(authenticators.missing_at("/product/x")) is TokenMissing
    assert type(authenticators.missing_at("/api")) is CredentialsMissing


def configured(*claims):
    config = Configurator()
    config.registry.authenticators = Authenticators()
    config.add_directive("add_authenticator", add_authenticator)
    for name, paths in claims:

        def feature(config, name=name, paths=paths):
            config.add_authenticator(name, nobody, paths)

        # Two includes of one name are one to Pyramid.
        feature.__name__ = f"{name} at {paths}"
        config.include(feature)
    config.commit()


def test_two_claims_to_one_name_or_path_stop_the_start():
    configured(("token", ["/a"]), ("ticket", ["/b"]))
    for other in (("token", ["/b"]), ("ticket", ["/c", "/a"])):
        with pytest.raises(ConfigurationConflictError):
            configured(("token", ["/a"]), other)


def test_the_first_who_recognises_somebody_is_not_gainsaid():
    class Known:
        actor = "somebody"

    class Asked:
        environ: dict[str, str] = {}  # noqa: RUF012

    def refuse(_request):
        raise AssertionError("nobody asked")

    found = recognised(Asked, [nobody, lambda _: Known, refuse])
    assert (found, Asked.environ) == (Known, {"hubrepo.actor": "somebody"})
    assert recognised(Asked, [nobody]) is None
