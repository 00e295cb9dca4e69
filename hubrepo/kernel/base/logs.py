"""Log formatters and a handler, named in the ini files: no key in clear leaves through them."""

import fcntl
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import TextIO

FLUSH_EVERY = 0.05

# What secrets look like, and what is shown of them; replaced as a whole, for others may be reading it. Not of
# an application: the ini file makes formatters before there is one, and what one hub calls a secret is none
# to show for another.
_SECRETS = {re.compile(r"(kpf_[0-9a-f]{8})_[A-Za-z0-9_-]+"): r"\1_…"}


def hide(pattern: str, shown: str = "…") -> None:
    """Let no log, audit or error show what `pattern` matches, but `shown`, as `re.sub` reads both."""
    global _SECRETS
    _SECRETS = {**_SECRETS, re.compile(pattern): shown}


def redact(text: str) -> str:
    """`text` with every secret cut down to what may be shown of it, such as a key to its public prefix."""
    for pattern, shown in _SECRETS.items():
        text = pattern.sub(shown, text)
    return text


def redacted(value: object) -> object:
    """A JSON value in which every text is redacted. To redact its JSON might cut off more than the text."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(name): redacted(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


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
        return json.dumps(redacted(line), ensure_ascii=False)


@contextmanager
def _alone_at(stream: TextIO) -> Iterator[None]:
    """Keep other processes from writing to what `stream` writes to, if they ask as well.

    Several workers have one pipe to the collector of their logs, and long writes to a pipe mix.
    """
    with ExitStack() as stack:
        with suppress(OSError, ValueError):  # not a file, or one that cannot be locked
            number = stream.fileno()
            fcntl.lockf(number, fcntl.LOCK_EX)
            stack.callback(fcntl.lockf, number, fcntl.LOCK_UN)
        yield


class BatchingHandler(logging.StreamHandler[TextIO]):
    """Writes lines together, within `FLUSH_EVERY` seconds; a warning, and all before it, at once.

    A line for each request, written by itself, costs a tenth of what the hub can do: each write
    gives up the interpreter to another thread. A process that is killed loses its last lines; one
    that ends in any other way does not. Lines of several processes stay whole.
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
            if self._records:
                with _alone_at(self.stream):
                    self._write()

    def _write(self) -> None:
        while self._records:
            record = self._records.popleft()
            try:
                self.stream.write(self.format(record) + self.terminator)
            except (ValueError, OSError):
                self.handleError(record)
        with suppress(ValueError, OSError):
            # Not the flush of the base: it wants the lock that others hold who wait to write.
            self.stream.flush()
