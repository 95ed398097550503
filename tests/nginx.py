"""An nginx in front of a service, on the loopback."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.debian import Program
from tests.servers import Service, free_port, wait_until_live

MINIMAL = """\
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/client_body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    upstream service { server web:8000; }
    server {
        listen 8080;
        %s
    }
}
"""
"""A configuration that does nothing but what it has to; with the lines of the server."""


@dataclass
class Nginx:
    program: Program
    folder: Path
    service: Service

    def command(self, configuration: str, port: int) -> list[str]:
        """Return the command for a configuration of `compose.yaml`'s network, as it is here."""
        text = configuration.replace("web:8000", urlsplit(self.service.url).netloc)
        text = text.replace("/tmp/", f"{self.folder}/")  # noqa: S108
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
        (self.folder / "nginx.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""  # only root may become another
        paths = ("-p", self.folder, "-e", "stderr", "-c", self.folder / "nginx.conf")
        return [self.program.path, *map(str, paths), "-g", f"daemon off; {user}"]

    @contextmanager
    def running(self, configuration: str, live: str = "") -> Iterator[Service]:
        """Yield the service behind nginx, whose health is asked for at the path `live`."""
        port = free_port()
        command = self.command(configuration, port)
        environment = {**os.environ, **self.program.environment}
        done = subprocess.run(
            [*command, "-t"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "[warn]" not in done.stderr, done.stderr
        log = self.folder / "nginx.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}{live}"
        behind = Service(process, url, log)
        try:
            wait_until_live(behind, timeout=30)
            yield behind
        finally:
            behind.kill()


@contextmanager
def before(program: Program, service: Service) -> Iterator[Nginx]:
    """Yield an nginx that may be run before a service."""
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        yield Nginx(program, Path(name), service)
