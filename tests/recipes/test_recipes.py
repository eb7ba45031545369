"""Each recipe runs with the framework that it is for, while OpenAI is down (`make test-recipes`)."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import FOREIGN
from tests.docs.pages import ROOT, blocks

RECIPES: Final = ROOT / "examples" / "recipes"
VENV: Final = ROOT / ".venv-recipes"
HELLO: Final = 'This is llama3.2 at house. You said: "Hello"'
LOCAL: Final = "ollama/llama3.2"
PRINTED: Final = {
    "dspy_program": [f"answer:   {HELLO}", "answered: ['local']"],
    "fastapi_app": [f"hello:    {HELLO}", f"answered: ['{LOCAL}']"],
    "instructor_structured": [
        "ticket:   Ticket ['subject', 'urgent']", f"answered: ['{LOCAL}']",
    ],
    "llama_index_llm": [
        f"answer:   {HELLO}", f"stream:   {HELLO}", f"answered: ['{LOCAL}', '{LOCAL}']",
    ],
    "openai_agents": [
        'answer:   This is llama3.2 at house. You said: "What is the weather in Rome?"',
        f"answered: ['{LOCAL}', '{LOCAL}']",
    ],
    "pydantic_ai_agent": [
        'answer:   This is llama3.2 at house. You said: "Please pay the bill."',
        "payments: 1",
        f"answered: ['openai/gpt-4o', '{LOCAL}']",
    ],
    "sdks": [
        *(f"{name + ':':<10} {HELLO}" for name in ("anthropic", "gemini", "mistral", "groq", "ollama")),
        f"answered:  {{'{LOCAL}'}}",
    ],
    "smolagents_agent": [f"answer:   {HELLO}", "answered: ['local']"],
}  # fmt: skip


def names() -> list[str]:
    return sorted(each.stem for each in RECIPES.glob("*.py") if each.stem != "stage")


def run(*command: str, cwd: Path = RECIPES, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, without the keys and addresses of this machine."""
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    # Else litellm asks the network for its table of prices, for which a test does not wait.
    env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", **more}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=env, cwd=cwd, check=False
    )


def test_every_recipe_is_held_to_something():
    assert names() == sorted(PRINTED)


@pytest.mark.parametrize("name", names())
def test_the_page_shows_what_the_recipe_does(name):
    """What a reader copies is what is run: each line of the snippet stands in the recipe."""
    mark = f"from: examples/recipes/{name}.py"
    shown = [each for each in blocks("python") if each.mark == mark]
    assert shown, f"docs/recipes.md has no snippet marked '{mark}'"
    run_of = {ast.unparse(node) for node in ast.walk(ast.parse(source(name))) if is_said(node)}
    for block in shown:
        said = {ast.unparse(node) for node in ast.walk(ast.parse(block.text)) if is_said(node)}
        assert said <= run_of


def source(name: str) -> str:
    return (RECIPES / f"{name}.py").read_text("utf-8")


def is_said(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign | ast.Import | ast.ImportFrom | ast.Expr)


@pytest.mark.recipes
@pytest.mark.parametrize("name", names())
def test_it_answers_while_openai_is_down(name):
    done = run(str(VENV / "bin" / "python"), f"{name}.py")
    assert done.stdout.splitlines() == PRINTED[name], done.stderr


@pytest.mark.recipes
def test_nodes_package_by_pilotlight_run(tmp_path):
    node = VENV / "node"
    if not (node / "node_modules" / "openai").is_dir():
        pytest.skip("npm could not install the openai package")
    from pilotlight_chaos import ChaosServer

    (node / "recipe.mjs").write_bytes((RECIPES / "node_openai.mjs").read_bytes())
    with ChaosServer(models=["llama3.2"]) as server:
        server.fault("openai", "server_error")
        config = tmp_path / "pilotlight.toml"
        config.write_text(
            f"""
[targets.gpt]
model = "openai/gpt-4o"
api_base = "{server.base("openai")}/v1"
api_key = "sk-not-a-real-key"
[targets.local]
model = "ollama/llama3.2"
api_base = "{server.base("house")}"
[routes.chat]
targets = ["gpt", "local"]
"""
        )
        pilotlight = (sys.executable, "-m", "pilotlight", "--config", str(config))
        done = run(*pilotlight, "run", "--", "node", "recipe.mjs", cwd=node)
    assert done.stdout.splitlines() == [f"answer: {HELLO}", f"stream: {HELLO}"], done.stderr
    assert re.search(r"2 calls, 2 failed over", done.stderr)
