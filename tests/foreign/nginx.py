"""A real nginx with the configuration of deploy/nginx, on ports of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.waiting import PATIENCE, until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx" / "ocelli.conf"
PREFIX = "/ocelli"
WHOLE = """
daemon off;
{user}
error_log stderr;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/ocelli.conf;
}}
"""


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass(frozen=True)
class Site:
    """What browsers and clients are given: the address with the prefix, and its authority."""

    url: str
    authority: Path
    upstream_port: int


def site(folder: Path) -> Site:
    """Write the configuration of an nginx into ``folder``: the example's, with other ports."""
    certificate, key = self_signed(folder)
    upstream, tls, plain = free_ports(3)
    text = EXAMPLE.read_text(encoding="utf-8")
    for theirs, ours in (
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("    listen [::]:80;\n", ""),
        ("listen 443 ssl", f"listen 127.0.0.1:{tls} ssl"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/ssl/vision.example.com/fullchain.pem", str(certificate)),
        ("/etc/ssl/vision.example.com/privkey.pem", str(key)),
        ("vision.example.com;", "127.0.0.1;"),
    ):
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    (folder / "ocelli.conf").write_text(text, encoding="utf-8")
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, user=user), encoding="utf-8")
    return Site(f"https://127.0.0.1:{tls}{PREFIX}", certificate, upstream)


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Run the nginx of ``site``. Skips where there is none."""
    if NGINX is None:
        pytest.skip("there is no nginx here: apt-get install nginx-light")
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "nginx.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        until(lambda: (folder / "nginx.pid").exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
