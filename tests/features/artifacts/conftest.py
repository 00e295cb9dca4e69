"""The callers of the contract: tokens of two organisations, acme and zeta."""

import pytest

from tests.support.artifacts import caller


@pytest.fixture
def adm(acme):
    """An admin token of acme."""
    return caller(acme, admin=True)


@pytest.fixture
def usr(acme):
    """A plain one."""
    return caller(acme)


@pytest.fixture
def usr2(acme):
    """Another plain one."""
    return caller(acme)


@pytest.fixture
def zadm(beta):
    """An admin token of zeta, another organisation."""
    return caller(beta, admin=True)


@pytest.fixture
def zusr(beta):
    """A plain one there."""
    return caller(beta)


@pytest.fixture
def my_lib(usr):
    """A product, at which `usr` may do everything."""
    usr.create("my-lib")
    return "my-lib"
