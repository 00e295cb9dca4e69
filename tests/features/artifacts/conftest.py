"""The callers of the contract: tokens of two organisations. What they do is done in every spelling."""

import pytest

from tests.support.artifacts import SPELLINGS, caller


@pytest.fixture(params=SPELLINGS)
def spelling(request):
    """How paths are written: check 43."""
    return request.param


@pytest.fixture
def adm(acme, spelling):
    """An admin token of acme."""
    return caller(acme, spelling, admin=True)


@pytest.fixture
def usr(acme, spelling):
    """A plain one."""
    return caller(acme, spelling)


@pytest.fixture
def usr2(acme, spelling):
    """Another plain one."""
    return caller(acme, spelling)


@pytest.fixture
def zadm(beta, spelling):
    """An admin token of zeta, another organisation."""
    return caller(beta, spelling, admin=True)


@pytest.fixture
def zusr(beta, spelling):
    """A plain one there."""
    return caller(beta, spelling)


@pytest.fixture
def my_lib(usr):
    """A product, at which `usr` may do everything."""
    usr.create("my-lib")
    return "my-lib"
