"""Waitress, as the ini files name it: `use = egg:hubrepo`, with the port from outside if it is given.

PasteDeploy does not let `pserve hub.ini http_port=7001` replace a value that the file has, only add
one, so the port is replaced here. And waitress, told to end, drops the answers it is sending; ours
finishes what it has begun.
"""

import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.trigger import trigger

from hubrepo import memory
from hubrepo.door import Answer, Channel, plain_answer
from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.db import Afterwards
from hubrepo.kernel.web import answer_at

# Seconds for requests that have begun when the hub ends; then for threads to notice that it has, and for
# small writes that wait.
PATIENCE = 5.0
LAST_PATIENCE = 1.0

# What says where to listen. Sockets that are made already take the place of all of it.
WHERE = frozenset({"listen", "host", "port", "ipv4", "ipv6"})


def listen_at(listen: str, variables: Mapping[str, str]) -> str:
    """The addresses of `listen`, on the port that `http_port` in `variables` names, if it does."""
    port = variables.get("http_port")
    if port is None:
        return listen
    return " ".join(f"{address.rpartition(':')[0]}:{port}" for address in listen.split())


@dataclass(frozen=True)
class Address:
    """Where a socket listens, once names are looked up."""

    family: socket.AddressFamily
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.family == socket.AF_INET6 else self.host
        return f"{host}:{self.port}"

    def bind(self, *, shared: bool = False) -> socket.socket:
        """A socket that is bound but does not listen yet. Raises OSError.

        With `shared`, other sockets may be bound there that are shared too; the system deals
        connections out among those that listen.
        """
        bound = socket.socket(self.family)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if self.family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((self.host, self.port))
        except OSError:
            bound.close()
            raise
        return bound


def addresses_of(settings: Mapping[str, str]) -> list[Address]:
    """The addresses that waitress would listen at with these settings. Raises Misconfigured."""
    where = {name: text for name, text in settings.items() if name in WHERE}
    try:
        listen = Adjustments(**where).listen
    except ValueError as error:
        raise Misconfigured(f"[server:main] makes no sense: {error}") from None
    return [Address(family, sockaddr[0], sockaddr[1]) for family, _, _, sockaddr in listen]


class Server:
    """Waitress, until told to end. The settings are waitress's own; `sockets` are bound already.

    Raises Misconfigured.
    """

    def __init__(
        self, application: Any, settings: Mapping[str, Any], sockets: Iterable[socket.socket] = ()
    ) -> None:
        # Before there are threads that have an arena each.
        memory.configure_malloc()
        gc.collect()
        memory.keep_loaded()
        self._map: dict[int, Any] = {}
        bound = list(sockets)
        if bound:
            rest = {name: value for name, value in settings.items() if name not in WHERE}
            settings = {**rest, "sockets": bound}
        try:
            self._server = create_server(application, map=self._map, **settings)
        except ValueError as error:
            raise Misconfigured(f"[server:main] makes no sense: {error}") from None
        for listener in self._listeners():
            listener.channel_class = channel_for(application)
        self._afterwards = _afterwards_of(application)
        adjustments = self._server.adj
        self._timeout = adjustments.asyncore_loop_timeout
        self._poll = wasyncore.poll2 if adjustments.asyncore_use_poll else wasyncore.poll
        self._wake = trigger(self._map)
        self._is_ending = False

    def end(self, *_: object) -> None:
        """Take nothing new, and let `run` return; from a signal's handler or another thread too."""
        self._is_ending = True
        self._wake.pull_trigger()

    def end_on_signals(self) -> None:
        """End when the process is asked to, as by Ctrl-C."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, self.end)

    def run(self) -> None:
        """Serve; return when told to end and what had begun is finished, or has taken too long."""
        while not self._is_ending:
            self._poll(self._timeout, self._map)
        if self._afterwards is not None:
            self._afterwards.end()
        self._stop_listening()
        self._poll(0, self._map)  # What was sent before now has begun.
        until = time.monotonic() + PATIENCE
        while self._close_idle() and time.monotonic() < until:
            self._poll(0.1, self._map)
        self._server.task_dispatcher.shutdown(timeout=LAST_PATIENCE)
        wasyncore.close_all(self._map)
        if self._afterwards is not None:
            self._afterwards.close(LAST_PATIENCE)

    def _listeners(self) -> list[BaseWSGIServer]:
        return [each for each in self._map.values() if isinstance(each, BaseWSGIServer)]

    def _stop_listening(self) -> None:
        """Take the connections that wait to be taken, then no more."""
        for listener in self._listeners():
            taken = -1
            while taken < len(listener.active_channels) < listener.adj.backlog:
                taken = len(listener.active_channels)
                listener.handle_accept()
            # Not `listener.close()`, which closes what the connections wake this thread with too.
            wasyncore.dispatcher.close(listener)

    def _close_idle(self) -> bool:
        """Close connections on which nothing is under way, and see that the others end with it.

        Whether there are any left.
        """
        channels = [each for each in self._map.values() if isinstance(each, HTTPChannel)]
        for channel in channels:
            with channel.requests_lock:
                for request in channel.requests:
                    request.headers["CONNECTION"] = "close"  # as if the client had asked for it
                if not (channel.requests or channel.request or channel.total_outbufs_len):
                    channel.will_close = True
        return bool(channels)


def channel_for(application: Any) -> Callable[..., Channel]:
    """Return what makes the connections of an application's server."""
    return partial(Channel, _answer_of(application))


def _answer_of(application: Any) -> Answer:
    """How the application's errors look; the usual way, where it is none of ours or something is around it."""
    registry = getattr(application, "registry", None)
    if not hasattr(registry, "error_shapes"):
        return plain_answer
    return partial(answer_at, registry)


def _afterwards_of(application: Any) -> Afterwards | None:
    """What the application writes afterwards, if it is ours."""
    registry = getattr(application, "registry", None)
    return getattr(registry, "afterwards", None)


def serve(application: Any, global_conf: Mapping[str, str], **settings: str) -> int:
    """Serve in this process until interrupted. The settings are waitress's own, and `workers`.

    That one is for `hubrepo serve`: here the application is made, and cannot be shared any more.
    """
    settings.pop("workers", None)
    if "listen" in settings:
        settings["listen"] = listen_at(settings["listen"], global_conf)
    logging.basicConfig()  # nothing, if logging is set up
    try:
        server = Server(application, settings)
    except Misconfigured as error:
        raise SystemExit(f"hubrepo cannot start: {error}") from None
    if threading.current_thread() is threading.main_thread():
        server.end_on_signals()
    server.run()
    return 0
