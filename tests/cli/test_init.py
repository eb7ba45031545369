"""`pilotlight init`: a file that loads, from what is there."""

import pilotlight


def test_writes_keys_and_local_model_that_are_there(run, folder, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-two")
    result = run("init")
    assert result.exit_code == 0
    text = (folder / "pilotlight.toml").read_text()
    assert "sk-" not in text + result.output
    app = pilotlight.load(folder / "pilotlight.toml")
    assert list(app.config.routes["chat"].targets) == ["gpt", "claude", "local"]
    assert app.config.targets["local"].model == "ollama/llama3.2:3b"  # no stub, no embedder
    assert app.target("local").local
    assert "pilotlight doctor" in result.stdout
    assert "ollama pull" not in result.stdout


def test_without_anything_it_still_loads_and_says_what_to_do(run, folder):
    result = run("init", "--output", "other.toml")
    assert result.exit_code == 0
    app = pilotlight.load(folder / "other.toml")
    assert list(app.config.routes["chat"].targets) == ["local"]
    assert "ollama serve" in result.stdout
    assert "ollama pull llama3.2 " in result.stdout


def test_keys_without_a_starter_model_are_mentioned(run, folder, monkeypatch):
    monkeypatch.setenv("CEREBRAS_API_KEY", "csk")
    assert run("init").exit_code == 0
    assert "# CEREBRAS_API_KEY is set" in (folder / "pilotlight.toml").read_text()


def test_does_not_overwrite_unless_told(run, folder):
    file = folder / "pilotlight.toml"
    file.write_text("# mine\n")
    result = run("init")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert file.read_text() == "# mine\n"
    assert run("init", "--force").exit_code == 0
    assert "[targets.local]" in file.read_text()


def test_every_starter_loads(folder):
    from pilotlight.cli.init import STARTERS, starter

    text = starter(dict.fromkeys(STARTERS, "KEY"), "qwen3:4b")
    (folder / "all.toml").write_text(text)
    assert len(pilotlight.load(folder / "all.toml").targets) == len(STARTERS) + 1


def test_place_that_can_not_be_written(run):
    result = run("init", "--output", "no/such/folder.toml")
    assert result.exit_code == 1
    assert "can't be written" in result.stderr


def test_what_the_local_model_carries_is_measured(run, server, folder):
    result = run("init")
    assert result.exit_code == 0, result.output
    written = (folder / "pilotlight.toml").read_text("utf-8")
    assert "concurrency = 4       # as measured" in written  # the server's slots
    assert "measuring llama3.2:3b" in result.stderr
    server.reset()
    run("init", "--force", "--no-measure")
    assert "as measured" not in (folder / "pilotlight.toml").read_text("utf-8")
    assert not [each for each in server.requests("local") if each.path == "/api/chat"]
