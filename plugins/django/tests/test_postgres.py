"""The log of events and the operators' commands in a real PostgreSQL: the suites that use a database, anew."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")
PATIENCE = 60.0
SUITES = ["test_events.py", "test_pages.py", "test_commands.py", "test_checks.py"]
HERE = Path(__file__).parent


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name)
    on_path = [Path(there).parent] if (there := shutil.which("postgres")) else []
    return next((each for each in (*reversed(found), *on_path) if (each / "initdb").exists()), None)


PROGRAMS = programs()
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL here (apt-get install postgresql)"),
]


def whom() -> dict[str, object]:
    """Return as whom it is to run: it refuses to be root."""
    if os.getuid():
        return {}
    known = {each.pw_name for each in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def wait_for(folder: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the server takes connections."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(host=folder, user="site", dbname="postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, "postgres ended"
            assert time.monotonic() < until, "postgres does not answer"
        else:
            return


@contextmanager
def postgres():
    """Run a server of our own that keeps nothing; give the folder of its socket."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        own, place = whom(), Path(folder)
        if own:
            os.chown(folder, own["user"], own["group"])
        made = subprocess.run(
            [PROGRAMS / "initdb", "-D", place / "data", "-U", "site", "-A", "trust", "--no-sync"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            **own,
        )
        assert made.returncode == 0, made.stderr
        command = [PROGRAMS / "postgres", "-D", place / "data", "-k", folder, "-h", "", "-F"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen(command, cwd=folder, **quiet, **own)
        try:
            wait_for(folder, server)
            yield folder
        finally:
            server.terminate()
            server.wait(PATIENCE)


def test_the_suites_of_the_database_hold_in_postgresql():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with postgres() as folder:
        done = subprocess.run(
            [*command, "-m", "not processes", *(str(HERE / each) for each in SUITES)],
            cwd=HERE.parent,
            env=os.environ | {"TESTAPP_POSTGRES": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
