"""The pytest plugin: its own tests run in a pytest of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent
PLUGIN = "pilotlight_chaos.pytest_plugin"


def pytest_of(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-q"]
    command += ["-p", "no:asyncio"]  # where it is installed it warns, and warnings are errors here
    command += ["-p", "no:pilotlight.pytest_plugin"]  # pilotlight's own, which comes by itself
    command += ["-c", os.devnull, "--strict-markers", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | environment
    )


def test_an_applications_tests_in_two_processes() -> None:
    done = pytest_of(HERE / "plugin_cases.py", "-n", "2", "-W", "error")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "17 passed" in done.stdout


def test_every_sdk_is_told_by_its_variables() -> None:
    done = pytest_of(HERE / "plugin_sdks.py", HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "26 passed" in done.stdout


def test_loading_costs_nothing_but_the_module() -> None:
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        f"import {PLUGIN}\n"
        f"assert set(sys.modules) - before == {{'pilotlight_chaos', '{PLUGIN}'}}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_entry_point_and_p_load_it_once(tmp_path: Path) -> None:
    """What pip writes for the entry point stands beside `-p`, as in a user's own set-up."""
    import os

    info = tmp_path / "pilotlight_chaos_twin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pilotlight-chaos-twin\nVersion: 1\n"
    )
    (info / "entry_points.txt").write_text(f"[pytest11]\n{PLUGIN} = {PLUGIN}\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    test = tmp_path / "test_one.py"
    test.write_text("def test_it(llm_chaos):\n    assert llm_chaos.hits('openai') == 0\n")
    done = pytest_of(test, PYTHONPATH=path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    without = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-c", os.devnull, test],
        capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert "1 passed" in without.stdout, without.stdout + without.stderr


def test_the_entry_point_is_named_as_its_module() -> None:
    """Another name would make pytest register the module twice, which it refuses."""
    import tomllib

    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_models_of_the_ollama_are_configured(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import httpx\n"
        "def test_it(llm_chaos):\n"
        "    tags = httpx.get(llm_chaos.base('ollama') + '/api/tags').json()\n"
        "    assert [m['name'] for m in tags['models']] == ['qwen3:8b', 'phi4:latest']\n"
    )
    done = pytest_of(tmp_path, "-o", "llm_chaos_models=qwen3:8b phi4")
    assert "1 passed" in done.stdout, done.stdout
