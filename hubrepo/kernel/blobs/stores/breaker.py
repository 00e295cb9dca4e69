"""A breaker: while a service does not answer, few wait for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

REST = 1.0


class AtRest(Exception):
    """The service did not answer a moment ago: nobody asks it now."""


class Breaker:
    """Stands between callers and a service that may fall silent.

    Once a call has waited in vain, others fail at once for `rest` seconds; then one is let through,
    and while that one waits the rest goes on. Any answer, a refusal too, ends it. So a service that
    hangs holds a thread or two, not all of them.
    """

    def __init__(self, rest: float = REST, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest, self._clock = rest, clock
        self._lock = Lock()
        self._silent_since: float | None = None
        self._trying = False

    @contextmanager
    def call(self, is_silence: Callable[[Exception], bool]) -> Iterator[None]:
        """Around a call; `is_silence` tells the errors that came of waiting in vain. Raises AtRest."""
        tries = self._admit()
        try:
            yield
        except Exception as error:
            self._note(silent=is_silence(error))
            raise
        else:
            self._note(silent=False)
        finally:
            if tries:
                self._trying = False

    def fell_silent(self) -> None:
        """Something else than a call has waited in vain."""
        self._note(silent=True)

    def _admit(self) -> bool:
        with self._lock:
            if self._silent_since is None:
                return False
            if self._trying or self._clock() < self._silent_since + self._rest:
                raise AtRest
            self._trying = True
            return True

    def _note(self, *, silent: bool) -> None:
        with self._lock:
            self._silent_since = self._clock() if silent else None
