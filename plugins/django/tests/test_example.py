"""The example site, run as the README says: asked, drilled, and looked at."""

from __future__ import annotations

import http.cookiejar
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[3]
README = Path(__file__).parents[1] / "README.md"
PATIENCE = 60.0


def commands(word: str) -> list[str]:
    """Return the README's command with this word; it names the environment's python."""
    [line] = [
        each for each in README.read_text("utf-8").splitlines() if f"manage.py {word}" in each
    ]
    return line.removeprefix("$ .venv/bin/python ").split()


class Browser:
    """Keeps its cookies, as a browser does."""

    def __init__(self, url: str) -> None:
        jar = http.cookiejar.CookieJar()
        self.url = url
        self.open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open

    def get(self, path: str) -> str:
        with self.open(self.url + path, timeout=PATIENCE) as reply:
            return reply.read().decode()

    def post(self, page: str, path: str, **fields: str) -> str:
        """Fill in the form of a page, with its token."""
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get(page))[1]
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        with self.open(self.url + path, data, timeout=PATIENCE) as reply:
            return reply.read().decode()


@contextmanager
def demo(env: dict[str, str]):
    """Run the site as the README says, on a port that is free; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *commands("demo"), "--port", str(port)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: there(url) or process.poll() is not None)
        assert process.poll() is None, "the site has ended"
        yield url
    finally:
        process.kill()
        process.wait(PATIENCE)


def there(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=PATIENCE).close()
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def wait(condition) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        threading.Event().wait(0.1)


def test_the_readmes_command_runs_the_site(tmp_path):
    env = os.environ | {"HELPDESK_DATA": str(tmp_path)}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    env.pop("PILOTLIGHT_BACKGROUND", None)
    with demo(env) as url:
        browser = Browser(url)
        assert "gpt-4o at cloud" in browser.post("/", "/ask", question="Hello?")
        assert "llama3.2 at house" in browser.post("/", "/ask", question="Hello?", private="on")
        login = "/admin/login/?next=/llm/"
        page = browser.post(login, login, username="staff", password="staff")
        assert "All routes are served by their first target." in page
        drill = [sys.executable, *commands("pilotlight_drill")]
        done = subprocess.run(drill, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert "find gpt refused for 5 min" in done.stdout, done.stderr
        wait(lambda: "at house" in browser.post("/", "/ask", question="Hello?"))
        wait(lambda: "gpt → house" in browser.get("/admin/django_pilotlight/failoverevent/"))
        assert "gpt → house" in browser.get("/llm/")
