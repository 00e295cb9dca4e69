"""How long a request may wait for others: once, however many locks it asks for.

A database bounds each wait for a lock by itself. A request may meet several: behind somebody who
waits as well, or when it is tried again because it lost a race. All of them together shall take no
longer than one.
"""

# Seconds. What takes less is no waiting; what is left at least; what a further try must have left.
SHORT = 0.1
LEAST = 0.25
ANOTHER_TRY = 1.0


class Patience:
    """What a request has left of the `seconds` that it may wait, in all of its tries."""

    def __init__(self, seconds: float) -> None:
        self._whole = self.left = seconds

    @property
    def is_strained(self) -> bool:
        """Whether there was a wait already."""
        return self.left < self._whole

    @property
    def is_enough_for_another_try(self) -> bool:
        """Whether a race that was lost may be run again."""
        return self.left >= ANOTHER_TRY

    def took(self, seconds: float) -> bool:
        """A statement took so long; whether that was a wait."""
        if seconds < SHORT:
            return False
        self.left = max(LEAST, self.left - seconds)
        return True
