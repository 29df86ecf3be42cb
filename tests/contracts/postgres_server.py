"""A real PostgreSQL server for tests: started as its own user in a folder of its own, stopped at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql")


def programs() -> Path:
    """Return the folder of the server's programs; skip the test where there is none."""
    for place in _PLACES:
        found = sorted(Path(place).glob("**/bin/initdb")) or sorted(Path(place).glob("bin/initdb"))
        if found:
            return found[-1].parent
    named = shutil.which("initdb")
    if named is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    return Path(named).resolve().parent


def _as_user() -> dict[str, object]:
    """Return how to start it: the server refuses root, so root starts it as the user of Debian's package."""
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL refuses root, and there is no user named postgres to start it as")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "env": {"PATH": os.environ["PATH"]}}


@contextmanager
def server() -> Iterator[str]:
    """Run a server on a free port of loopback; yields the URL of its database."""
    pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    bin_folder, how = programs(), _as_user()
    folder = Path(tempfile.mkdtemp(prefix="dnaml-pg-"))
    if "user" in how:
        shutil.chown(folder, user="postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    run = {"check": True, "capture_output": True, "cwd": folder, "timeout": 60, **how}
    subprocess.run([bin_folder / "initdb", "-D", data, "-U", "dnaml", "-A", "trust", "-E", "UTF8"], **run)
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c max_connections=40"
    subprocess.run([bin_folder / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], **run)
    try:
        yield f"postgresql://dnaml@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([bin_folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **run)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str, name: str) -> str:
    """Make an empty database on a server and return its URL."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.rpartition("/")[0] + "/" + name
