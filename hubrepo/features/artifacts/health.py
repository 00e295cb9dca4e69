"""How the parts of the hub are, in sentences that this surface's clients look for."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Lock, Thread
from time import monotonic

from hubrepo.features.artifacts.errors import error_json
from hubrepo.kernel.base import HubError, Unavailable

log = logging.getLogger(__name__)

# Seconds that all probes together may take.
PATIENCE = 2.0


class NotWell(Unavailable):
    """The hub cannot know who asks, so it tells anybody how its parts are."""

    code = "not-well"

    def __init__(self, report: Mapping[str, str]) -> None:
        super().__init__(fields=report)


class Probe:
    """Asks one part how it is, in a thread of its own: a part that falls silent holds nobody else up."""

    def __init__(self, name: str, ask: Callable[[], object]) -> None:
        self.name, self._ask = name, ask
        self._lock = Lock()
        self._asked: Future[object] | None = None

    def start(self) -> Future[object]:
        """The answer to come; that of an earlier question, if there is none yet."""
        with self._lock:
            if self._asked is None or self._asked.done():
                asked = Future[object]()
                # A daemon: it does not keep the process from ending either.
                Thread(target=self._answer, args=(asked,), daemon=True).start()
                self._asked = asked
            return self._asked

    def _answer(self, asked: Future[object]) -> None:
        try:
            asked.set_result(self._ask())
        except Exception as error:  # noqa: BLE001 - raised for those who wait
            asked.set_exception(error)


class Health:
    """The parts of the hub, by name, and what asks each of them; it raises when there is something wrong."""

    def __init__(self, parts: Mapping[str, Callable[[], object]]) -> None:
        self._probes = [Probe(name, ask) for name, ask in parts.items()]

    @property
    def names(self) -> set[str]:
        """What the parts are called."""
        return {each.name for each in self._probes}

    def report(self, *names: str) -> dict[str, str]:
        """A sentence for each part, or for those named; it has the word `fine` if, and only if, the part is."""
        deadline = monotonic() + PATIENCE
        wanted = [each for each in self._probes if not names or each.name in names]
        asked = [(probe.name, probe.start()) for probe in wanted]
        return {name: self._sentence(name, answer, deadline) for name, answer in asked}

    @staticmethod
    def _sentence(name: str, answer: Future[object], deadline: float) -> str:
        title = name.capitalize()
        try:
            answer.result(max(0.0, deadline - monotonic()))
        except TimeoutError:
            return f"{title} does not answer"
        except Exception:
            log.exception("%s is not well", name)
            return f"{title} is unreachable"
        return f"{title} is fine"


def health_error(error: HubError) -> dict[str, object]:
    """An error of `/health`: where a part is to blame, how all of them are."""
    return dict(error.fields) if isinstance(error, NotWell) else error_json(error)


def is_well(report: Mapping[str, str]) -> bool:
    """Whether every part is."""
    return all(sentence.endswith(" is fine") for sentence in report.values())
