"""A master, and the processes that it forks: each works alone, and is replaced when it dies.

The master does nothing else. Threads, connections and clients do not survive a fork, so it never has
any: whatever needs them runs in a process of its own, the preparation too. Knows nothing of hubs.
"""

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

log = logging.getLogger(__name__)

# A process that dies sooner than this after it came up has died at once; one that does so again and
# again is replaced after a pause that doubles, from the first to the longest. All in seconds.
AT_ONCE = 1.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
# What processes that were asked to end may take for it: somewhat more than they give themselves.
PATIENCE = 8.0

HEARD = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})


@dataclass(frozen=True)
class Worker:
    """What a forked process knows of its master. `number` is that of its place, from 0."""

    number: int
    _told: int
    _life: int

    @property
    def is_orphan(self) -> bool:
        """Whether the master is gone. (Its number as the parent's is given up a little later.)"""
        return bool(select.select([self._life], [], [], 0)[0])

    def say_up(self) -> None:
        """Tell the master that the work has begun."""
        os.write(self._told, b"\0")

    def when_orphaned(self, act: Callable[[], object]) -> None:
        """Call `act`, in a thread of its own, when the master is gone, however it went.

        It has the time that the master would have given, then the process ends anyhow.
        """

        def watch() -> None:
            os.read(self._life, 1)  # Nothing is ever written: this is the end of the file.
            act()
            time.sleep(PATIENCE)
            os._exit(1)

        Thread(target=watch, name="master", daemon=True).start()


Work = Callable[[Worker], object]


@dataclass
class Process:
    """A forked process, as the master sees it."""

    number: int
    hears: int
    up_since: float = 0.0
    is_asked: bool = False

    @property
    def is_up(self) -> bool:
        """Whether it ever was."""
        return self.up_since > 0

    def hear(self) -> None:
        """Take what it said: that it is up, or the silence of its end."""
        if self.hears >= 0:
            if os.read(self.hears, 1):
                self.up_since = time.monotonic()
            os.close(self.hears)
            self.hears = -1


class Master:
    """Forks and watches, and ends it all when asked to by SIGTERM or SIGINT.

    SIGHUP replaces one process after the other, unless it says that the terminal was closed. There is
    one master in a program, and nobody else in it hears these signals.

    What a forked process does ends in SystemExit or another error there, which leaves through the
    callers of `once` and `keep` as it would have in the master. So these must not clean up behind it.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self._deadline = 0.0
        self._processes: dict[int, Process] = {}
        self._due: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._to_replace: list[int] = []
        self._ending = {signal.SIGINT, signal.SIGTERM}
        if sys.stdin is not None and sys.stdin.isatty():
            self._ending.add(signal.SIGHUP)  # The terminal was closed.
        # Held open by the master alone: its end is the end of the file for all others.
        self._life, self._lifeline = os.pipe()
        self._signals, self._wakeup = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        for each in HEARD:
            if signal.getsignal(each) != signal.SIG_IGN:  # as `nohup` has it
                signal.signal(each, lambda *_: None)

    def once(self, act: Work) -> int:
        """Run `act` in a process of its own, to its end; its exit code."""
        self._fork(0, act)
        while True:
            self._wait(None)
            for _, code in self._reap():
                return code

    def keep(self, count: int, work: Work) -> int:
        """Keep `count` processes at `work` until asked to end; the exit code of all that.

        The others follow the first when it is up; if it never is, its exit code is the answer.
        """
        self._due = {0: time.monotonic()}
        has_begun = False
        while self._processes or not self.is_ending:
            self._start_due(work)
            self._wait(self._next_moment())
            if not has_begun and any(each.is_up for each in self._processes.values()):
                has_begun = True
                self._due |= dict.fromkeys(range(1, count), time.monotonic())
            for process, code in self._reap():
                has_begun |= process.is_up
                if not has_begun and not self.is_ending:
                    return code
                self._replace(process, code)
            self._replace_next()
            self._kill_late()
        return 0

    def _start_due(self, work: Work) -> None:
        for number, moment in list(self._due.items()):
            if moment <= time.monotonic() and not self.is_ending:
                del self._due[number]
                try:
                    self._fork(number, work)
                except OSError as error:
                    log.warning("cannot start worker %d: %s", number, error)
                    self._pause(number)

    def _fork(self, number: int, work: Work) -> None:
        sys.stdout.flush()
        hears, told = os.pipe()
        # Until the new process has forgotten the master's handlers, no signal may reach it.
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        try:
            pid = os.fork()
            if pid == 0:
                self._forget()
        except OSError:
            os.close(hears)
            os.close(told)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        if pid == 0:
            os.close(hears)
            work(Worker(number, told, self._life))
            raise SystemExit(0)
        os.close(told)
        self._processes[pid] = Process(number, hears)

    def _forget(self) -> None:
        """In a new process: be as if there were no master, but for its end of the lifeline."""
        signal.set_wakeup_fd(-1)
        for each in HEARD:
            signal.signal(each, signal.SIG_DFL)
        # A terminal that hangs up tells all of its processes; it is for the master to judge.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        others = [each.hears for each in self._processes.values() if each.hears >= 0]
        for number in (self._lifeline, self._signals, self._wakeup, *others):
            os.close(number)

    def _wait(self, seconds: float | None) -> None:
        """Sleep until there is something to do: a signal, or a process that is up or at its end."""
        talking = {each.hears: each for each in self._processes.values() if each.hears >= 0}
        ready, _, _ = select.select([self._signals, *talking], [], [], seconds)
        for each in ready:
            if each == self._signals:
                self._obey({signal.Signals(number) for number in os.read(each, 4096)})
            else:
                talking[each].hear()

    def _obey(self, signals: set[signal.Signals]) -> None:
        if signals & self._ending and not self.is_ending:
            self.is_ending, self._deadline = True, time.monotonic() + PATIENCE
            for pid in self._processes:
                os.kill(pid, signal.SIGTERM)
        elif signal.SIGHUP in signals:
            self._to_replace = sorted(each.number for each in self._processes.values())

    def _next_moment(self) -> float | None:
        """Seconds until something is to be done by the clock."""
        moments = [self._deadline] if self.is_ending else list(self._due.values())
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _reap(self) -> list[tuple[Process, int]]:
        """The processes that have ended, with their exit codes (128 and the signal, if one ended them).

        As the first process of a container, the master inherits strangers too: those go unsaid.
        """
        ended: list[tuple[Process, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            if process := self._processes.pop(pid, None):
                process.hear()
                code = os.waitstatus_to_exitcode(status)
                ended.append((process, code if code >= 0 else 128 - code))

    def _replace(self, process: Process, code: int) -> None:
        number = process.number
        if process.is_asked or self.is_ending:
            self._due[number] = time.monotonic()
            return
        log.warning("worker %d ended with %d; another takes its place", number, code)
        if process.is_up and time.monotonic() - process.up_since > AT_ONCE:
            self._failures.pop(number, None)
        self._pause(number)

    def _pause(self, number: int) -> None:
        """Start `number` again: the later, the oftener it has died at once."""
        failures = self._failures.get(number, 0)
        self._failures[number] = failures + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 16))
        self._due[number] = time.monotonic() + pause

    def _replace_next(self) -> None:
        """Ask one process to end for a new one, once all are up."""
        settled = all(each.is_up and not each.is_asked for each in self._processes.values())
        if not self._to_replace or self._due or not settled:
            return
        number = self._to_replace.pop(0)
        for pid, process in self._processes.items():
            if process.number == number:
                process.is_asked = True
                os.kill(pid, signal.SIGTERM)

    def _kill_late(self) -> None:
        if self.is_ending and time.monotonic() >= self._deadline:
            for pid in self._processes:
                os.kill(pid, signal.SIGKILL)
            self._deadline = time.monotonic() + PATIENCE
