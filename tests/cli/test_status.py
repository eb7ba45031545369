"""`pilotlight status`: the targets as they are now."""

import json

from .conftest import SECRET


def _targets(result):
    return {row["name"]: row for row in json.loads(result.stdout)["targets"]}


def test_table_and_routes(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    result = run("status")
    assert result.exit_code == 0
    assert "chat: gpt → local" in result.stdout
    assert "Ollama 0.33.0, model installed, not loaded" in result.stdout
    assert SECRET not in result.output
    assert server.requests("primary", probes=True) == []


def test_json(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b", other="anthropic/claude-sonnet-4-5")
    run("ask", "Load it", "--private")
    result = run("status", "--json")
    rows = _targets(result)
    assert rows["gpt"]["key"] == "present"
    assert rows["gpt"]["reachable"] is None
    assert rows["other"]["key"] == "missing"
    assert rows["local"]["local"] is True
    assert rows["local"]["breaker"] == "closed"
    assert rows["local"]["detail"] == "Ollama 0.33.0, model loaded"
    assert json.loads(result.stdout)["routes"] == {"chat": ["gpt", "local", "other"]}


def test_check_connects(run, write, server, primary, nobody):
    write(gpt=primary, gone=primary | {"api_base": f"{nobody}/v1"})
    rows = _targets(run("status", "--check", "--json"))
    assert rows["gpt"]["reachable"] is True
    assert rows["gone"]["reachable"] is False


def test_no_ollama_says_how_to_start_it(run, write):
    write(local="ollama/llama3.2:3b")
    result = run("status")
    assert result.exit_code == 0
    assert "start it with `ollama serve`" in result.stdout


def test_missing_and_remote_models(run, write, server):
    write(gone="ollama/mistral:7b", stub="ollama/disguised:7b")
    rows = _targets(run("status", "--json"))
    assert "`ollama pull mistral:7b`" in rows["gone"]["detail"]
    assert "runs on https://ollama.com:443" in rows["stub"]["detail"]
    assert rows["stub"]["local"] is False


def test_server_that_is_no_ollama(run, write, server):
    write(local={"model": "ollama/llama3.2:3b", "api_base": f"{server.url}/p/x/nothing/here"})
    server.fault("x", "garbage", everywhere=True)
    rows = _targets(run("status", "--json"))
    assert rows["local"]["reachable"] is False
