"""The pages say what is true: tables, links, blocks of code and of configuration."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import pilotlight
from pilotlight.config.schema import parse
from pilotlight.errors import DOCS
from pilotlight_chaos import ChaosServer
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, links

sys.path.append(str(ROOT / "tools"))
import docs_tables  # noqa: E402

SOURCE = "https://github.com/pilotlight/pilotlight/blob/main/"
RUNNABLE = [block for block in blocks("python") if block.mark == "runnable"]


@pytest.mark.parametrize("page", docs_tables.pages(), ids=lambda page: page.name)
def test_the_tables_are_those_of_the_code(page):
    text = page.read_text("utf-8")
    assert docs_tables.render(text) == text, "run: .venv/bin/python tools/docs_tables.py"


def test_every_table_has_a_place():
    text = "".join(page.read_text("utf-8") for page in docs_tables.pages())
    assert [name for name in docs_tables.TABLES if f"<!-- table: {name} -->" not in text] == []


def test_a_table_is_written_between_its_marks_and_nowhere_else():
    mark, end = "<!-- table: faults -->", "<!-- end of table -->"
    page = f"a\n{mark}\n{end}\nb\n{mark}\nold\n{end}\nc"
    new = docs_tables.render(page)
    assert new == docs_tables.render(new)
    assert re.sub(r"\n\n\|.*?\|\n\n", "\n", new, flags=re.DOTALL) == page.replace("old\n", "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    for where in links(page):
        if where.startswith(DOCS):  # a page of ours, as the site has it
            name, _, anchor = where.removeprefix(DOCS).partition("/")
            where = f"{ROOT}/docs/{name or 'index'}.md{anchor}"
        elif where.startswith(SOURCE):
            where = f"{ROOT}/{where.removeprefix(SOURCE)}"
        if re.match(r"[a-z]+:", where):
            continue
        path, _, anchor = where.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), where
        assert not anchor or anchor in anchors(target), where


def test_every_promise_of_security_names_tests_that_are_there():
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "tested in" not in line]
    for row in (row for row in rows if not row.startswith("| ---")):
        named = re.findall(r"`([\w./]+)`", row.split("|")[-2])
        assert named, row
        for each in named:
            folder = "" if "/" in each else str(Path(named[0]).parent)
            assert (ROOT / folder / each).exists(), each


SOURCES = [
    *PAGES,
    *(path for room in ("src", "chaos/src", "plugins") for path in (ROOT / room).rglob("*.py")),
]
FILES = {path.as_posix() for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
OF_A_USER = {"docs/telemetry.md: shop.py"}  # a user's own file


def test_every_file_of_code_that_is_named_is_there():
    """A file that has moved is still named where it stood."""
    lost = [
        f"{source.relative_to(ROOT)}: {name}"
        for source in SOURCES
        if ".venv" not in source.parts
        for name in re.findall(r"`([A-Za-z_0-9/]+\.py)`", source.read_text("utf-8"))
        if not any(path.endswith(f"/{name}") for path in FILES)
    ]
    assert set(lost) == OF_A_USER


def test_the_readme_leads_to_every_page():
    """By way of the site, whose navigation has each of them."""
    named = re.findall(r"([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(page.name for page in ROOT.glob("docs/*.md")) == sorted(named)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block):
    compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configuration_loads(block: Block, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
    data = tomllib.loads(block.text)
    config = parse(data.get("tool", {}).get("pilotlight", data), str(block))
    app = pilotlight.load(data)
    assert list(app.routes) == list(config.routes)


@pytest.fixture(scope="module")
def providers():
    with ChaosServer(models=["llama3.2"]) as server:
        yield server


@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_runnable_python_runs(block: Block, providers, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{providers.base('cloud')}/v1")
    monkeypatch.setenv("OLLAMA_HOST", providers.base("house"))
    exec(compile(block.text, str(block), "exec"), {"__name__": "page"})


TOURS = {block.page: block.mark for block in blocks("python") if block.mark.startswith("runnable:")}


@pytest.mark.parametrize("page", TOURS)
def test_a_page_that_is_read_from_top_to_bottom_runs_so(page, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    seen: dict[str, object] = {"__name__": "page"}
    for block in blocks("python"):
        if (block.page, block.mark) == (page, TOURS[page]):
            exec(compile(block.text, str(block), "exec"), seen)


def test_most_pages_have_something_that_runs():
    assert len(RUNNABLE) >= 12


def test_the_readmes_function_is_the_one_that_the_example_runs():
    mine = (block.text for block in blocks("python") if block.page == "README.md")
    shown = next(text for text in mine if "@failover" in text)
    function = shown[shown.index("@failover") : shown.index("\n\n\nprint")]
    assert function in (ROOT / "examples" / "outage.py").read_text("utf-8")
