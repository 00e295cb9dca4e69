"""Turns: who came first goes first.

SQLite lets one write at a time. Whoever waits asks again now and then, so who asks at the right
moment goes first, and one of several may wait in vain while others come and go. So the threads of a
process stand in line before they ask. Other processes are not in that line; a turn does not stand for
the right to write, only for whose turn it is to ask for it.
"""

import threading
from collections import deque


class Turns:
    """One at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._line: deque[threading.Event] = deque()
        self._passed_on: deque[None] = deque()

    def take(self, seconds: float) -> bool:
        """Wait so long for a turn; whether it came. Whoever has one passes it on."""
        mine = threading.Event()
        with self._lock:
            is_free, self._taken = not self._taken, True
            if not is_free:
                self._line.append(mine)
        self._settle()
        if is_free:
            return True
        try:
            mine.wait(seconds)
        except BaseException:
            if self._leave_line(mine):
                self.pass_on()
            raise
        return self._leave_line(mine)

    def pass_on(self) -> None:
        """Let the next one have it. Never waits, so a collector of garbage may call it anywhere."""
        self._passed_on.append(None)
        self._settle()

    def _leave_line(self, mine: threading.Event) -> bool:
        with self._lock:
            came = mine.is_set()
            if not came:
                self._line.remove(mine)
        self._settle()
        return came

    def _settle(self) -> None:
        # Whoever has the lock looks again once it is free: what it kept another from doing is its own to do.
        while self._passed_on and self._lock.acquire(blocking=False):
            try:
                while self._passed_on:
                    self._passed_on.popleft()
                    if self._line:
                        self._line.popleft().set()
                    else:
                        self._taken = False
            finally:
                self._lock.release()
