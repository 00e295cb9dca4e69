"""What is loaded stays: the collector of garbage does not look through it again."""

import gc

import pytest

from hubrepo.cli import program
from hubrepo.server import Server
from tests.support.hub import Hub


def is_looked_through(thing: object) -> bool:
    return any(each is thing for each in gc.get_objects())


def test_not_once_a_hub_serves(tmp_path):
    hub = Hub.below(tmp_path)
    loaded = [hub]
    assert is_looked_through(loaded)
    server = Server(hub.wsgi, {"listen": "127.0.0.1:0"})
    assert not is_looked_through(loaded)
    server.end()
    server.run()
    hub.registry.database.close()


def test_not_once_a_command_runs(capsys):
    gc.collect()
    loaded = [capsys]
    assert is_looked_through(loaded)
    with pytest.raises(SystemExit) as ended:
        program(["--version"])
    assert ended.value.code == 0
    assert "hubrepo, version" in capsys.readouterr().out
    assert not is_looked_through(loaded)
