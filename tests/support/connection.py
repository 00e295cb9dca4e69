"""A connection to the hub's HTTP server in this process: bytes in, answers out, without a loop or a thread."""

import configparser
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from waitress import create_server

from hubrepo.server import channel_for
from tests.support.process import PROJECT


class _NoThreads:
    """A dispatcher that leaves requests to whoever called `Connection.send`."""

    def set_thread_count(self, count: int) -> None:
        """Waitress asks for it."""

    def add_task(self, task: object) -> None:
        """The task is in the channel already."""

    def shutdown(self, **_: object) -> None:
        """Waitress asks for it."""


def server_settings() -> dict[str, str]:
    """Return waitress's lines of development.ini."""
    ini = configparser.RawConfigParser()
    ini.read(PROJECT / "development.ini", encoding="utf-8")
    return {key: text for key, text in ini["server:main"].items() if key not in {"use", "listen"}}


class Connection:
    """One connection. `calls` counts how often the application is called."""

    def __init__(self, application: Callable[..., Any], **settings: str) -> None:
        self.calls = 0

        def counted(environ: Any, start_response: Any) -> Any:
            self.calls += 1
            return application(environ, start_response)

        lines = {**server_settings(), **settings, "listen": "127.0.0.1:0"}
        self._server = create_server(counted, map={}, _dispatcher=_NoThreads(), **lines)
        self._client, theirs = socket.socketpair()
        self._client.setblocking(False)
        self._channel = channel_for(application)(
            self._server, theirs, ("127.0.0.1", 0), self._server.adj, map={}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._channel.close()
        self._server.close()

    @property
    def is_closing(self) -> bool:
        """True once the server's next round closes the connection."""
        self._channel.readable()
        return bool(self._channel.will_close)

    def send(self, data: bytes, piece: int = 1 << 30) -> bytes:
        """Deliver `data`, so many bytes at a time, and return all that is answered."""
        answered = bytearray()
        for at in range(0, len(data), piece):
            self._channel.received(data[at : at + piece])
            while self._channel.requests:
                self._channel.service()
            while self._channel.connected and self._channel.writable():
                self._channel.handle_write()
                with suppress(BlockingIOError):
                    answered += self._client.recv(1 << 20)
        with suppress(BlockingIOError):
            answered += self._client.recv(1 << 20)
        return bytes(answered)
