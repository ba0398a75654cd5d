"""A PostgreSQL server for tests: its own folder, a free port on this machine, gone when the tests are."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPTIONS = "-c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"


def binary(name: str) -> str | None:
    """Where a program of PostgreSQL is; Debian keeps them apart from other programs."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(places[0]) if places else shutil.which(name)


def is_installed() -> bool:
    return binary("initdb") is not None and (os.geteuid() != 0 or shutil.which("setpriv") is not None)


class Server:
    """A running server. ``stop`` and ``start`` play a crash."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://mien:secret@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        words = ["-D", self.folder, "-w", "-t", "60", "-l", f"{self.folder}.log"]
        run("pg_ctl", *words, "-o", f"-p {self.port} -k {self.folder} {OPTIONS}", "start")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash: nothing is written any more."""
        run("pg_ctl", "-D", self.folder, "-w", "-m", mode, "stop")

    def new_database(self, name: str, template: str = "template1") -> str:
        """The URL of a new database, which is a copy of ``template`` (by itself an empty one)."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)


@contextmanager
def server() -> Iterator[Server]:
    """A new server. PostgreSQL does not run as root, so then it gets the user and the folder of nobody."""
    with tempfile.TemporaryDirectory(prefix="mien-pg-", ignore_cleanup_errors=True) as top:
        folder = Path(top) / "data"
        Path(top).chmod(0o755)
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(top, 65534, 65534)
            os.chown(folder, 65534, 65534)
        secret = Path(top) / "secret"
        secret.write_text("secret")
        secret.chmod(0o644)
        run(
            "initdb",
            "-D",
            folder,
            "-U",
            "mien",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-E",
            "UTF8",
            "-N",
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made = Server(folder, port)
        made.start()
        try:
            yield made
        finally:
            made.stop("immediate")


def run(name: str, *words: object) -> None:
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*as_nobody, str(binary(name)), *map(str, words)]
    environ = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, cwd="/"
    )
    assert done.returncode == 0, done.stderr + done.stdout
