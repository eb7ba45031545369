"""What is released: each distribution has its licence, its addresses, and a page that stands alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pilotlight.errors import DOCS
from pilotlight.version import __version__

ROOT = Path(__file__).parents[1]
FOLDERS = [ROOT, ROOT / "chaos", *sorted(ROOT.glob("packages/*")), *sorted(ROOT.glob("plugins/*"))]
FOLDERS = [each for each in FOLDERS if (each / "pyproject.toml").is_file()]


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: each.name)
def test_a_distribution_is_whole(folder):
    told = project(folder)
    assert told["version"] == __version__
    assert told["license-files"] == ["LICENSE"]
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert told["urls"]["Documentation"] == DOCS
    assert {"Source", "Changelog", "Issues"} < set(told["urls"])
    assert told["requires-python"] == ">=3.11"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: each.name)
def test_the_long_description_has_no_link_that_only_the_repository_can_follow(folder):
    text = (folder / project(folder)["readme"]).read_text("utf-8")
    places = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    assert [each for each in places if not each.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: each.name)
def test_whoever_needs_the_code_asks_for_slim_of_this_series(folder):
    needs = project(folder).get("dependencies", [])
    ours = [each for each in needs if each.startswith("pilotlight")]
    assert all(each.startswith("pilotlight-slim") for each in ours), ours
    assert all(">=0.1,<0.2" in each or f"=={__version__}" in each for each in ours), ours


def test_the_site_and_the_errors_have_one_address():
    assert f"site_url: {DOCS}\n" in (ROOT / "mkdocs.yml").read_text("utf-8")
