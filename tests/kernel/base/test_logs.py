"""No key leaves through a log."""

import json
import logging
import sys

import pytest

from hubrepo.kernel.base.logs import JsonFormatter, LineFormatter

KEY = "kpf_0123abcd_EXAMPLE-43-urlsafe-characters_of_a-secret-0"


def record(message: str, *args: object) -> logging.LogRecord:
    try:
        raise ValueError(f"bad header {KEY}")
    except ValueError:
        return logging.LogRecord(
            "hubrepo.x", logging.ERROR, __file__, 1, message, args, sys.exc_info()
        )


@pytest.mark.parametrize("formatter", [LineFormatter("%(message)s"), JsonFormatter()])
def test_a_key_is_cut_down_to_its_prefix_in_messages_and_tracebacks(formatter):
    text = formatter.format(record("got %s", KEY))
    assert "EXAMPLE" not in text
    assert text.count("kpf_0123abcd_…") >= 2


def test_a_json_line_is_one_object():
    line = JsonFormatter().format(record("two\nlines"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "two\nlines"
    assert "ValueError" in json.loads(line)["traceback"]
