"""Log formatters, named in the ini files: no key in clear leaves through them."""

import json
import logging
import re
from datetime import UTC, datetime

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
