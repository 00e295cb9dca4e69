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

    def take(self, seconds: float) -> bool:
        """Wait so long for a turn; whether it came. Whoever has one passes it on."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Event()
            self._line.append(mine)
        try:
            mine.wait(seconds)
        finally:
            with self._lock:
                came = mine.is_set()
                if not came:
                    self._line.remove(mine)
        return came

    def pass_on(self) -> None:
        """Let the next one have it."""
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._taken = False
