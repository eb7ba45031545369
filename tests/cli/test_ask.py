"""`pilotlight ask`: the answer on stdout, everything about it on stderr."""

import json

import pytest

from .conftest import SECRET


def test_streams_the_answer_and_says_who_gave_it(run, write, server):
    write(local="ollama/llama3.2:3b")
    result = run("ask", "Why?")
    assert result.exit_code == 0
    assert result.stdout == 'This is llama3.2:3b at local. You said: "Why?"\n'
    assert result.stderr.startswith("answered by local (llama3.2:3b) in ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("pilotlight.toml\n")


def test_says_why_it_failed_over(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    server.fault("primary", "rate_limit", retry_after=30)
    result = run("ask", "Why?", "--no-stream")
    assert "llama3.2:3b at local" in result.stdout
    assert "failed over: gpt rate_limited (429)" in result.stderr


def test_json_is_one_document(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    server.fault("primary", "retired")  # opens for good, and JSON knows no infinity
    for _ in range(2):
        result = run("ask", "Why?", "--json")
        assert result.stderr == ""
        document = json.loads(result.stdout, parse_constant=pytest.fail)
        assert document["text"].startswith("This is llama3.2:3b")
        assert document["receipt"]["served_by"] == "local"
        assert document["receipt"]["failed_over"] is True


def test_question_from_stdin(run, write, server):
    write(local="ollama/llama3.2:3b")
    assert '"From a pipe"' in run("ask", "-", stdin="From a pipe\n").stdout
    assert run("ask", "-", stdin=" \n").exit_code == 2


def test_private_without_a_local_target_sends_nothing(run, write, server, primary):
    write(gpt=primary)
    result = run("ask", "A secret", "--private")
    assert result.exit_code == 2
    assert "no local target" in result.stderr
    assert server.hits() == 0


def test_private_passes_the_closed_target_over(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    result = run("ask", "A secret", "--private")
    assert result.exit_code == 0
    assert server.hits("primary") == 0
    assert "gpt residency" in result.stderr


def test_no_ollama_says_how_to_start_it(run, write):
    write(local="ollama/llama3.2:3b")
    result = run("ask", "Why?")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert (
        "no target of route 'chat' answered:\npilotlight:   local connection_error" in result.stderr
    )
    assert "`ollama serve`" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_model_says_how_to_pull_it(run, write, server):
    write(local="ollama/mistral:7b")
    result = run("ask", "Why?")
    assert result.exit_code == 1
    assert "mistral:7b is not there: `pilotlight pull local`" in result.stderr


def test_missing_key_says_which(run, write, server):
    write(gpt="openai/gpt-4o")
    result = run("ask", "Why?")
    assert result.exit_code == 1
    assert "OPENAI_API_KEY" in result.stderr


def test_json_of_a_call_that_nobody_answered(run, write):
    write(local="ollama/llama3.2:3b")
    result = run("ask", "Why?", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["text"] is None
    assert document["receipt"]["outcome"] == "exhausted"


def test_own_mistake_passes_through_as_one_line(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    server.fault("primary", "bad_request")
    result = run("ask", "Why?")
    assert result.exit_code == 1
    assert "Invalid value for 'temperature'" in result.stderr
    assert "HTTP 400" not in result.stderr  # the provider's own words, not its library's
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.output


def test_broken_stream_is_an_error_after_its_text(run, write, server):
    write(local="ollama/llama3.2:3b")
    server.fault("local", "cut", after=3)
    result = run("ask", "Why?")
    assert result.exit_code == 1
    assert result.stdout == "This is llama3.2:3b \n"
    assert "after 20 characters of text" in result.stderr


def test_route_must_be_chosen_and_known(run, folder, server):
    (folder / "pilotlight.toml").write_text(
        '[targets.local]\nmodel = "ollama/llama3.2:3b"\n'
        '[routes.one]\ntargets = ["local"]\n[routes.two]\ntargets = ["local"]\n'
    )
    undecided = run("ask", "Why?")
    assert undecided.exit_code == 2
    assert "--route NAME" in undecided.stderr
    unknown = run("ask", "Why?", "--route", "tow")
    assert unknown.exit_code == 2
    assert "did you mean 'two'?" in unknown.stderr
    assert run("ask", "Why?", "--route", "two").exit_code == 0


def test_deadline(run, write, server):
    write(local="ollama/llama3.2:3b")
    server.fault("local", "hang")
    result = run("ask", "Why?", "--total-timeout", "0.3")
    assert result.exit_code == 1
    assert "total_timeout" in result.stderr or "timeout" in result.stderr
    assert run("ask", "Why?", "--total-timeout", "0").exit_code == 2
