"""Log formatters and a handler, named in the ini files: no key in clear leaves through them."""

import json
import logging
import re
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TextIO

FLUSH_EVERY = 0.05

_KEY = re.compile(r"(kpf_[0-9a-f]{8})_[A-Za-z0-9_-]+")


def redact(text: str) -> str:
    """`text` with every API key cut down to its public prefix."""
    return _KEY.sub(r"\1_…", text)


class LineFormatter(logging.Formatter):
    """A line for people; tracebacks follow it."""

    def format(self, record: logging.LogRecord) -> str:
        """As the standard one, without keys."""
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """An object for machines: `at`, `level`, `logger`, `message`, and where known `request_id`, `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, without keys."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False))


class BatchingHandler(logging.StreamHandler[TextIO]):
    """Writes lines together, within `FLUSH_EVERY` seconds; a warning, and all before it, at once.

    A line for each request, written by itself, costs a tenth of what the hub can do: each write
    gives up the interpreter to another thread. A process that is killed loses its last lines; one
    that ends in any other way does not.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._records: deque[logging.LogRecord] = deque()
        self._something = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record for the next flush."""
        self._records.append(record)
        if record.levelno >= logging.WARNING:
            self.flush()
        elif not self._something.is_set():
            self._something.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._flush_on, name="log", daemon=True)
                self._thread.start()

    def _flush_on(self) -> None:
        while self._something.wait():
            time.sleep(FLUSH_EVERY)
            self._something.clear()
            self.flush()

    def flush(self) -> None:
        """Write what was kept, in order."""
        with self._writing:
            while self._records:
                record = self._records.popleft()
                try:
                    self.stream.write(self.format(record) + self.terminator)
                except (ValueError, OSError):
                    self.handleError(record)
            super().flush()
