"""What Prometheus reads: of this process, or of all that share a folder.

Several workers answer at one port, so whichever is asked has to tell of all of them. Each counts in a
file of its own, which the others read when they are asked.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_metrics(folder: Path, number: int) -> None:
    """Have the metrics that this process will make count in `folder`, in the file of `number`.

    No other running process may have that number. Who gets it next counts on from there, so counts
    never go back, and there are never more files than numbers.
    """
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


class Metrics:
    """Durations of requests, by method and status, for Prometheus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "hubrepo_request_seconds",
            "Duration of requests until the first byte of the answer.",
            ["method", "status"],
            registry=self._registry,
        )
        self._series: dict[tuple[str, int], Histogram] = {}
        if values.ValueClass is not values.MutexValue:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
            # The file is opened by the first series, so now: where the master was killed, the worker that
            # is done first removes the folder, and others still answer what they had begun to.
            self._seconds.labels("GET", "200")

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Count one request. Methods that HTTP does not know are one series."""
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} else "other"
        series = self._series.get((known, status))
        if series is None:
            series = self._series[known, status] = self._seconds.labels(known, str(status))
        series.observe(seconds)

    def text(self) -> bytes:
        """All counts, as Prometheus reads them."""
        return generate_latest(self._registry)
