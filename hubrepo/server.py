"""Waitress, as the ini files name it: `use = egg:hubrepo`, with the port from outside if it is given.

PasteDeploy does not let `pserve hub.ini http_port=7001` replace a value that the file has, only add
one, so the port is replaced here.
"""

import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from waitress import serve_paste


def listen_at(listen: str, variables: Mapping[str, str]) -> str:
    """The addresses of `listen`, on the port that `http_port` in `variables` names, if it does."""
    port = variables.get("http_port")
    if port is None:
        return listen
    return " ".join(f"{address.rpartition(':')[0]}:{port}" for address in listen.split())


def serve(application: Any, global_conf: Mapping[str, str], **settings: str) -> Any:
    """Serve until interrupted. The settings are waitress's own."""
    settings["listen"] = listen_at(settings["listen"], global_conf)
    if threading.current_thread() is threading.main_thread():
        # End as after Ctrl-C: connections closed, logs flushed, small writes written.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return serve_paste(application, global_conf, **settings)
