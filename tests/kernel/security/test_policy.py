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


@pytest.mark.parametrize(
    ("path", "names"),
    [
        *(
            ("/", "by key by cookie"),
            ("/api", "by key by cookie"),
            ("/api/packages", "by key by cookie"),
            ("/products", "by key by cookie"),
        ),
        *(
            ("/api/product", "by token"),
            ("/api/product/x", "by token"),
            ("/api/products", "by key by cookie"),
        ),
        *(("/product", "by token"), ("/product/a/b", "by token")),
    ],
)
def test_a_surface_with_credentials_of_its_own_takes_no_other(authenticators, path, names):
    assert [each(None) for each in authenticators.at(path)] == names.replace(" by", ",by").split(
        ","
    )
    assert authenticators.are_usual_at(path) is (names != "by token")


def test_all_of_them_have_names(authenticators):
    assert set(authenticators.by_name) == {"key", "token", "cookie"}


def test_who_is_not_recognised_is_told_what_is_missing_there():
    class TokenMissing(Unauthenticated):
        code = "token-missing"

    authenticators = Authenticators()
    authenticators.add("token", nobody, ("/product",), TokenMissing)
    assert type(authenticators.missing_at("/product/x")) is TokenMissing
    assert type(authenticators.missing_at("/api")) is CredentialsMissing


def one(config):
    config.add_authenticator("token", nobody, ["/a"])


def same_name(config):
    config.add_authenticator("token", nobody, ["/b"])


def same_path(config):
    config.add_authenticator("ticket", nobody, ["/c", "/a"])


def none_of_both(config):
    config.add_authenticator("ticket", nobody, ["/b"])


def configured(*features):
    config = Configurator()
    config.registry.authenticators = Authenticators()
    config.add_directive("add_authenticator", add_authenticator)
    for each in features:
        config.include(each)
    config.commit()


def test_two_claims_to_one_name_or_path_stop_the_start():
    configured(one, none_of_both)
    for other in (same_name, same_path):
        with pytest.raises(ConfigurationConflictError):
            configured(one, other)


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
