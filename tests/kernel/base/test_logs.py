"""No key leaves through a log."""

import io
import json
import logging
import sys
import threading
import time

import pytest

from hubrepo.kernel.base import hide, logs, redact, redacted
from hubrepo.kernel.base.logs import BatchingHandler, JsonFormatter, LineFormatter

KEY = "kpf_0123abcd_EXAMPLE-43-urlsafe-characters_of_a-secret-0"


def record(message: str, *args: object) -> logging.LogRecord:
    try:
        raise ValueError(f"bad header {KEY}")
    except ValueError:
        return logging.LogRecord(
            "hubrepo.x", logging.ERROR, __file__, 1, message, args, sys.exc_info()
        )


FORMATTERS = (LineFormatter("%(message)s"), JsonFormatter())


def test_a_key_is_cut_down_to_its_prefix_in_messages_and_tracebacks():
    for formatter in FORMATTERS:
        text = formatter.format(record("got %s", KEY))
        assert "EXAMPLE" not in text
        assert text.count("kpf_0123abcd_…") >= 2


class TestHiding:
    @pytest.fixture(autouse=True)
    def nothing_is_hidden_for_ever(self, monkeypatch):
        monkeypatch.setattr(logs, "_SECRETS", dict(logs._SECRETS))

    def test_what_a_surface_calls_a_secret_is_in_no_line_of_formatters_made_before(self):
        hide(r"tok_(\d)\d+", r"tok_\1…")
        for formatter in FORMATTERS:
            text = formatter.format(record("got %s and %s", KEY, "tok_12345"))
            assert "tok_1…" in text
            assert "2345" not in text
            assert "EXAMPLE" not in text

    def test_each_time_it_is_there_it_is_cut_once(self):
        for _ in range(2):
            hide("s3cret", "(…)")
        assert redact(f"s3cret,s3crets3cret {KEY}") == "(…),(…)(…) kpf_0123abcd_…"

    def test_what_is_cut_off_at_its_end_is_a_value_of_a_line_and_not_the_line(self):
        hide("from here.*")
        line = record('from here "on"')
        line.request_id = "1"
        told = json.loads(JsonFormatter().format(line))
        assert (told["message"], told["request_id"]) == ("…", "1")
        assert "ValueError" in told["traceback"]

    def test_all_texts_of_a_value_are_cut_and_nothing_else_changes(self):
        hide("s3cret")
        value = {"s3cret": ["a s3cret", ("s3cret", 1, None)], "b": {"c": True}}
        assert redacted(value) == {"…": ["a …", ["…", 1, None]], "b": {"c": True}}

    def test_what_is_no_secret_stays(self):
        text = "kpf_short, kpf_0123abcd, " + "0" * 47 + " é /fetch/"
        assert redact(text) == text


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

    def test_lines_come_in_order_without_being_asked_for(self, log, stream):
        for number in range(100):
            log.info("line %d", number)
        until = time.monotonic() + 60
        while stream.getvalue().count("\n") < 100 and time.monotonic() < until:
            log.handlers[0]._thread.join(0.01)
        assert stream.getvalue() == "".join(f"line {number}\n" for number in range(100))

    def test_a_warning_comes_at_once_behind_what_was_before_it(self, log, stream):
        log.info("before")
        log.warning("now %s", KEY)
        assert stream.getvalue() == "before\nnow kpf_0123abcd_…\n"

    def test_what_is_written_does_not_wait_for_who_logs_a_warning(self, log, stream):
        """The other way round they do: both would wait for ever."""
        handler = log.handlers[0]
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "a line", (), None))
        with handler.lock:
            writer = threading.Thread(target=handler.flush, daemon=True)
            writer.start()
            writer.join(60)
            assert not writer.is_alive()
        assert stream.getvalue() == "a line\n"

    def test_nothing_is_lost_between_threads_and_nothing_comes_twice(self, log, stream):
        def write(name):
            for number in range(500):
                level = logging.INFO if number % 50 else logging.WARNING
                log.log(level, "%s-%d", name, number)

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.handlers[0].flush()
        written = [f"{name}-{number}" for name in "abcd" for number in range(500)]
        assert sorted(stream.getvalue().splitlines()) == sorted(written)

    def test_a_warning_does_not_lock_out_the_one_who_is_writing(self):
        writing, go_on = threading.Event(), threading.Event()

        class Slow(io.StringIO):
            def write(self, text: str) -> int:
                writing.set()
                go_on.wait(10)
                return super().write(text)

        stream = Slow()
        handler = BatchingHandler(stream)
        record = logging.LogRecord("x", logging.WARNING, __file__, 1, "now", (), None)
        handler.emit(logging.LogRecord("x", logging.INFO, __file__, 1, "before", (), None))
        assert writing.wait(10)
        warning = threading.Thread(target=handler.handle, args=(record,), daemon=True)
        warning.start()
        while handler.lock.acquire(blocking=False):  # until the thread has it, and waits
            handler.lock.release()
            time.sleep(0.001)
        go_on.set()
        warning.join(10)
        assert not warning.is_alive()
        assert stream.getvalue() == "before\nnow\n"


def test_a_json_line_is_one_object():
    line = JsonFormatter().format(record("two\nlines"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "two\nlines"
    assert "ValueError" in json.loads(line)["traceback"]
