"""No key leaves through a log."""

import io
import json
import logging
import sys
import threading
import time

import pytest

from hubrepo.kernel.base.logs import BatchingHandler, JsonFormatter, LineFormatter

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


class TestBatching:
    @pytest.fixture
    def stream(self):
        return io.StringIO()

    @pytest.fixture
    def log(self, stream):
        logger = logging.Logger("batching")
        handler = BatchingHandler(stream)
        handler.setFormatter(LineFormatter("%(message)s"))
        logger.addHandler(handler)
        return logger

    def test_lines_come_soon_and_in_order(self, log, stream):
        for number in range(100):
            log.info("line %d", number)
        until = time.monotonic() + 10
        while stream.getvalue().count("\n") < 100 and time.monotonic() < until:
            log.handlers[0]._thread.join(0.01)
        assert stream.getvalue() == "".join(f"line {number}\n" for number in range(100))

    def test_a_warning_comes_at_once_behind_what_was_before_it(self, log, stream):
        log.info("before")
        log.warning("now %s", KEY)
        assert stream.getvalue() == "before\nnow kpf_0123abcd_…\n"

    def test_nothing_is_lost_between_threads_and_nothing_comes_twice(self, log, stream):
        def write(name):
            for number in range(500):
                log.log(
                    logging.WARNING if number % 50 == 0 else logging.INFO, "%s-%d", name, number
                )

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.handlers[0].flush()
        lines = stream.getvalue().splitlines()
        assert sorted(lines) == sorted(
            f"{name}-{number}" for name in "abcd" for number in range(500)
        )


def test_a_json_line_is_one_object():
    line = JsonFormatter().format(record("two\nlines"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "two\nlines"
    assert "ValueError" in json.loads(line)["traceback"]
