"""The example agent survives an outage in the middle of its run, and says why."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
AGENT = ROOT / "examples" / "langchain_agent" / "agent.py"


def test_the_agent_goes_on_and_the_page_shows_what_it_prints(capsys):
    runpy.run_path(str(AGENT))["main"]()
    said = capsys.readouterr().out.strip()
    assert "why   openai/gpt-4o: server_error (500), so ollama/llama3.2 answered" in said
    assert f"```text\n{said}\n```" in (ROOT / "docs" / "langchain.md").read_text("utf-8")
