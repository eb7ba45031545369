"""The files of examples/deploy: each can be read, and they agree with one another."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib

import yaml

from pilotlight.cli.app import cli
from pilotlight.config.schema import parse
from tests.docs.pages import ROOT

FOLDER = ROOT / "examples" / "deploy"
TOLD = tomllib.loads((FOLDER / "pilotlight.toml").read_text())
BOARD = TOLD.pop("state").removeprefix("sqlite:///")  # its folder is there where it is deployed
CONFIG = parse(TOLD, "examples/deploy/pilotlight.toml")
INSTRUCTIONS = set(
    "FROM RUN COPY USER ENV VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD".split()
)


def dockerfile() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line.strip()]


def serve(line: list[str]) -> None:
    """Hold a command line to what `pilotlight serve` takes."""
    assert line[0] == "serve"
    command = cli.get_command(None, "serve")
    parsed = command.make_context("serve", line[1:])
    assert parsed.params["workers"] == 2


def test_the_dockerfile():
    found = dict(dockerfile())
    assert {name for name, _ in dockerfile()} <= INSTRUCTIONS
    assert found["EXPOSE"] == str(CONFIG.serve.port)
    assert found["USER"] == "pilotlight"
    assert yaml.safe_load(found["ENTRYPOINT"]) == ["pilotlight"]
    serve(yaml.safe_load(found["CMD"]))
    copied, to = found["COPY"].split()
    assert (FOLDER / copied).exists()
    assert found["ENV"] == f"PILOTLIGHT_CONFIG={to}"
    assert f":{CONFIG.serve.port}/health/live" in found["HEALTHCHECK"]
    for path in (CONFIG.serve.keys, BOARD):
        assert path.startswith(found["VOLUME"])


def test_the_compose_file():
    told = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services = told["services"]
    port = CONFIG.serve.port
    assert services["gateway"]["ports"] == [f"{port}:{port}"]
    assert float(services["gateway"]["stop_grace_period"].removesuffix("s")) > CONFIG.serve.grace
    local = CONFIG.targets["local"]
    assert local.api_base == "http://ollama:11434"
    assert local.local_addresses == ("ollama",)
    named = {volume.split(":")[0] for each in services.values() for volume in each["volumes"]}
    own = {each for each in named if not each.startswith("./")}
    assert own == set(told["volumes"])
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scrape["static_configs"] == [{"targets": [f"gateway:{port}"]}]
    mounted = [each.split(":")[1] for each in services["prometheus"]["volumes"]]
    assert scrape["authorization"]["credentials_file"] in mounted


def test_the_unit():
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str
    unit.read_string((FOLDER / "pilotlight.service").read_text())
    assert unit.sections() == ["Unit", "Service", "Install"]
    service = unit["Service"]
    program, *line = shlex.split(service["ExecStart"])
    assert program.endswith("/pilotlight")
    serve(line)
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert float(service["TimeoutStopSec"]) > CONFIG.serve.grace
    assert CONFIG.serve.keys.startswith(f"/var/lib/{service['StateDirectory']}/")
