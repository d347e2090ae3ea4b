"""A real PostgreSQL server on a free loopback port, from the machine's own packages."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

UNPRIVILEGED = ("postgres", "nobody")
"""PostgreSQL refuses to run as root: as root, the server runs as the first of these users."""


@dataclass(frozen=True)
class Server:
    port: int
    password: str

    def url(self, database: str) -> str:
        return f"postgresql://aurora:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)


def find_program(name: str) -> str | None:
    """On PATH, or where Debian's packages put the server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(found[0]) if found else None)


@contextmanager
def serving() -> Iterator[Server]:
    """Initialise, start, and at the end stop and remove a server of its own."""
    user = _unprivileged() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="aurora-postgres-"))
    try:
        yield from _run(folder, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


def _run(folder: Path, user: str | None) -> Iterator[Server]:
    password, secret, data = secrets.token_hex(8), folder / "password", folder / "data"
    secret.write_text(password)
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(secret, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(find_program(program)), "-D", str(data), *arguments]
        with (folder / f"{program}.log").open("w") as log:
            subprocess.run(
                command, check=True, user=user, cwd=folder, stdout=log, stderr=log, timeout=90
            )

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("initdb", "-U", "aurora", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "-N")
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
    run("pg_ctl", "-w", "-t", "60", "-l", str(folder / "server.log"), "-o", settings, "start")
    try:
        yield Server(port, password)
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
