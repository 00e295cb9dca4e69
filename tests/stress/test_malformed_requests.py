"""Every odd request over a socket and through the shipped nginx."""

from contextlib import ExitStack

import pytest

from tests.stress.conftest import Budget
from tests.support.process import HubProcess
from tests.support.shapes import SHAPES, doors

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("nginx_is_here")]


def test_every_shape_has_its_verdict_over_a_socket_and_behind_nginx(
    server: HubProcess, budget: Budget
) -> None:
    with ExitStack() as stack:
        for door in doors(server, stack).values():
            for shape in budget.points(SHAPES, 0.5):
                door.try_(shape)
