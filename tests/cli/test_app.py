"""Options of the group, exit codes, and what `--help` costs."""

import signal
import subprocess
import sys
from importlib import import_module

import click
import pytest

import pilotlight
from pilotlight.cli.app import COMMANDS


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"pilotlight {pilotlight.__version__}\n")


def test_help_lists_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    for name in ("init", "doctor", "status", "ask", "demo"):
        assert f"\n  {name} " in result.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from pilotlight.cli import cli\n"
        "try: cli(['--help'], prog_name='pilotlight')\n"
        "except SystemExit: pass\n"
        "heavy = {'litellm', 'httpx', 'pydantic', 'rich', 'ollama', 'openai'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_module_runs_as_the_script_does():
    done = subprocess.run(
        [sys.executable, "-m", "pilotlight", "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith("pilotlight ")


def test_unknown_command_is_misuse(run):
    assert run("burn").exit_code == 2


def test_no_configuration_names_init(run):
    for args in (["ask", "Hello"], ["status"]):
        result = run(*args)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "`pilotlight init`" in result.stderr
        assert "Traceback" not in result.stderr


def test_wrong_configuration_names_file_key_and_mend(run, folder):
    (folder / "pilotlight.toml").write_text('[targets.a]\nmodle = "openai/gpt-4o"\n')
    result = run("status")
    assert result.exit_code == 2
    assert "targets.a.modle: unknown key; did you mean 'model'?" in result.stderr


def test_config_option_names_the_file(run, folder, server):
    other = folder / "other.toml"
    other.write_text('[targets.mine]\nmodel = "ollama/llama3.2:3b"\n')
    assert "mine" in run("--config", str(other), "status").stdout
    missing = run("--config", str(folder / "nowhere.toml"), "status")
    assert missing.exit_code == 2
    assert "nowhere.toml: no such file" in missing.stderr


def test_address_that_can_not_be_one(run, write):
    write(local={"model": "ollama/llama3.2:3b", "api_base": "ftp://127.0.0.1"})
    result = run("status")
    assert result.exit_code == 2
    assert "targets.local.api_base" in result.stderr


def test_ctrl_c_is_one_line(write, server):
    write(local="ollama/llama3.2:3b")
    server.fault("local", "hang")
    command = [sys.executable, "-m", "pilotlight", "ask", "Hello"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has none
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **how) as process:
        signal.signal(signal.SIGINT, before)
        assert server.wait_hits("local", 1, timeout=30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out.strip(), err.strip()) == (b"", b"interrupted")


def options():
    """Every option of every command that is a number with a fraction."""
    for name in COMMANDS:
        waiting = [import_module(f"pilotlight.cli.{name.replace('-', '_')}").command]
        while waiting:
            command = waiting.pop()
            waiting += getattr(command, "commands", {}).values()
            for param in command.params:
                if isinstance(param.type, click.types.FloatParamType):
                    yield pytest.param(name, param.opts[0], id=f"{name} {param.opts[0]}")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "NaN", "-Infinity"])
@pytest.mark.parametrize(("command", "option"), list(options()))
def test_a_number_that_is_none_is_one_line(run, command, option, value):
    result = run(command, f"{option}={value}", *(["Hello"] if command == "ask" else []))
    assert result.exit_code == 2
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert option in last
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("value", ["9" * 400 + "h", "inf", "nan", "1e3"])
def test_a_time_that_is_none_is_one_line(run, value):
    result = run("receipts", "--since", value)
    assert result.exit_code == 2
    assert "--since" in result.stderr
    assert "Traceback" not in result.stderr
