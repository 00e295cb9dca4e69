"""The shipped nginx in front of a hub: `deploy/nginx.conf` as it is, but for addresses, names and paths."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.support.leaks import secrets_below
from tests.support.process import PROJECT, HubProcess, Wire, free_port

CONFIGURATION = PROJECT / "deploy" / "nginx.conf"
HUB_HOST, PAGES_HOST = "hub.example.net", "pages.example.net"
_PATIENCE = 20.0


def missing() -> str | None:
    """Why there is no nginx here; None if there is one."""
    if shutil.which("nginx", path=_path()) is None:
        return "no nginx: apt-get install nginx-light"
    return None if shutil.which("openssl") else "no openssl: apt-get install openssl"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class Nginx:
    """It runs while its `with` block does. `port` is the hub's, in the clear, for tests to speak plainly."""

    def __init__(self, hub: HubProcess) -> None:
        self.port, self.tls_port, self.redirecting_port = free_port(), free_port(), free_port()
        # Not below pytest's folders: the user of its workers must be able to go there.
        self.folder = Path(tempfile.mkdtemp(prefix="hubrepo-nginx-"))
        self.folder.chmod(0o755)
        self.errors, self.log = self.folder / "error.log", self.folder / "access.log"
        self.hub = hub
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._make_certificate()
        path = self.folder / "nginx.conf"
        path.write_text(self._configuration(), encoding="utf-8")
        self._process = subprocess.Popen(
            ["nginx", "-e", str(self.errors), "-c", str(path), "-g", "daemon off;"],
            env={**os.environ, "PATH": _path()}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > until:
                said = self.errors.read_text() if self.errors.exists() else "nothing"
                self.__exit__()
                raise RuntimeError(f"nginx does not start:\n{said}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
        with_keys = list(secrets_below(self.folder))
        shutil.rmtree(self.folder, ignore_errors=True)
        assert with_keys == []

    def _is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "1", "-subj", f"/CN={HUB_HOST}", "-keyout", self.folder / "key.pem",
                "-out", self.folder / "certificate.pem",
            ],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def _configuration(self) -> str:
        """What is shipped, with other addresses and paths; every one of these lines must be there."""
        text, folder = CONFIGURATION.read_text(encoding="utf-8"), self.folder
        temporary = "".join(
            f" {each}_temp_path {folder}/{each};" for each in ("fastcgi", "uwsgi", "scgi")
        )
        tls, plain = (
            f"listen 127.0.0.1:{self.tls_port} ssl",
            f"listen 127.0.0.1:{self.redirecting_port}",
        )
        for shipped, here in (
            ("pid   /run/nginx.pid;", f"pid {folder}/nginx.pid;"),
            ("/var/log/nginx/error.log", str(self.errors)),
            ("/var/log/nginx/access.log", str(self.log)),
            ("/var/lib/nginx/body;", f"{folder}/body;{temporary}"),
            ("/var/lib/nginx/proxy;", f"{folder}/proxy;"),
            ("server 127.0.0.1:6543;", f"server 127.0.0.1:{self.hub.port};"),
            ("listen 80", plain),
            ("listen 443 ssl;", f"{tls}; listen 127.0.0.1:{self.port};"),
            ("/etc/hubrepo/hub.crt", f"{folder}/certificate.pem"),
            ("/etc/hubrepo/hub.key", f"{folder}/key.pem"),
            ("/etc/hubrepo/pages.crt", f"{folder}/certificate.pem"),
            ("/etc/hubrepo/pages.key", f"{folder}/key.pem"),
        ):
            assert shipped in text, shipped
            text = text.replace(shipped, here)
        # Encrypted or not, what is answered is the same.
        text, count = re.subn(
            r"listen 443 ssl (default_server[^;]*;)",
            rf"{tls} \1 listen 127.0.0.1:{self.port} \1",
            text,
        )
        assert count == 1
        return "".join(map(self._below_prefix, text.splitlines(keepends=True)))

    def _below_prefix(self, line: str) -> str:
        """What the file says of lines that are marked: the prefix goes before the first path."""
        if "# PREFIX" not in line:
            return line
        return re.sub("(?<![:/])/(?!/)", f"{self.hub.prefix}/", line, count=1)

    def wire(self, key: str | None = None, timeout: float = 30) -> Wire:
        """A connection, with a key if one is given."""
        return Wire(self.port, key, timeout, HUB_HOST)

    def tls(self, host: str = HUB_HOST) -> ssl.SSLSocket:
        """A connection with TLS. Whose certificate it is nobody asks."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.tls_port), 10)
        return context.wrap_socket(plain, server_hostname=host)
