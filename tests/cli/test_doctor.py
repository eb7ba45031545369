"""`pilotlight doctor`: each finding with its mend, and the exit code."""

import json

from .conftest import SECRET


def _verdicts(result):
    return {(c["verdict"], c["about"]): c for c in json.loads(result.stdout)["checks"]}


def test_all_well(run, write, server, primary):
    write(gpt=primary | {"api_key": {"env": "MY_KEY"}}, local="ollama/llama3.2:3b")
    result = run("doctor")  # MY_KEY is not set, but a server of one's own needs none
    assert result.exit_code == 0, result.output
    assert "fail" not in result.stdout.replace("0 failed", "")
    assert "chat" in result.stdout


def test_missing_key_and_no_ollama(run, write):
    write(gpt={"model": "openai/gpt-4o"}, local="ollama/llama3.2:3b")
    result = run("doctor")
    assert result.exit_code == 1
    assert "→ export OPENAI_API_KEY=…" in result.stdout
    assert "→ ollama serve" in result.stdout


def test_key_in_the_file_is_a_warning_and_never_shown(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    result = run("doctor")
    assert result.exit_code == 0
    assert 'api_key = { env = "OPENAI_API_KEY" }' in result.stdout
    assert SECRET not in result.output


def test_unreachable_closed_target(run, write, server, nobody):
    write(gpt={"model": "openai/gpt-4o", "api_base": f"{nobody}/v1"}, local="ollama/llama3.2:3b")
    found = _verdicts(run("doctor", "--json"))
    assert nobody in found["fail", "gpt"]["text"]


def test_sends_no_request_to_the_closed_target(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    run("doctor")
    assert server.requests("primary", probes=True) == []


def test_model_not_pulled(run, write, server):
    write(local="ollama/mistral:7b")
    result = run("doctor")
    assert result.exit_code == 1
    assert "→ ollama pull mistral:7b" in result.stdout


def test_cloud_names_and_stubs_and_embedders_fail(run, write, server):
    for model, said in (
        ("gpt-oss:120b-cloud", "runs in Ollama's cloud"),
        ("disguised:7b", "is a stub: it runs on https://ollama.com:443"),
        ("nomic-embed-text", "only embeds"),
    ):
        write(local=f"ollama/{model}")
        result = run("doctor")
        assert result.exit_code == 1
        assert said in result.stdout
        assert "last resort is local" not in result.stdout


def test_routes_without_a_local_last_resort(run, write, server, primary):
    write(gpt=primary)
    found = _verdicts(run("doctor", "--json"))
    assert "no local last resort" in found["warn", "route chat"]["text"]
    write(gpt=primary, private=True)
    assert ("fail", "route chat") in _verdicts(run("doctor", "--json"))
    write(route=["local", "gpt"], gpt=primary, local="ollama/llama3.2:3b")
    found = _verdicts(run("doctor", "--json"))
    assert "not the last" in found["warn", "route chat"]["text"]


def test_what_a_fallback_can_not_do_is_said_before_the_outage(run, write, server, primary):
    write(gpt=primary | {"abilities": ["tools", "images"]}, local="ollama/llama3.2:3b")
    told = [c for c in json.loads(run("doctor", "--json").stdout)["checks"] if "can't" in c["text"]]
    assert [(c["verdict"], c["about"]) for c in told] == [("warn", "route chat")]
    assert told[0]["text"].startswith("local can't do images, which gpt can")
    assert "abilities" in told[0]["mend"]
    write(gpt=primary | {"abilities": ["tools"]}, local="ollama/llama3.2:3b")
    assert "can't do" not in run("doctor").stdout


def test_target_off_every_route(run, write, server, primary):
    write(route=["local"], gpt=primary, local="ollama/llama3.2:3b")
    texts = [c["text"] for c in json.loads(run("doctor", "--json").stdout)["checks"]]
    assert "no route leads to it" in texts


def test_without_a_configuration(run, server):
    result = run("doctor")
    assert result.exit_code == 1
    assert "→ pilotlight init" in result.stdout
    assert "has llama3.2:3b" in result.stdout


def test_wrong_configuration_is_a_finding(run, folder):
    (folder / "pilotlight.toml").write_text("[targets.a]\n")
    result = run("doctor")
    assert result.exit_code == 1
    assert "targets.a.model: missing" in result.stdout
    assert "→ correct " in result.stdout


def test_no_routes(run, folder, server):
    (folder / "pilotlight.toml").write_text('[targets.local]\nmodel = "ollama/llama3.2:3b"\n')
    result = run("doctor")
    assert result.exit_code == 1
    assert '→ [routes.chat] targets = ["local"]' in result.stdout
