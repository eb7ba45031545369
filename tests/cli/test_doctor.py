"""`pilotlight doctor`: each finding with its mend, and the exit code."""

import json
import shlex

import pytest

from pilotlight_chaos import LocalModel

from .conftest import SECRET


def _verdicts(result):
    return {(c["verdict"], c["about"]): c for c in json.loads(result.stdout)["checks"]}


def _wrong(result):
    return [c for c in json.loads(result.stdout)["checks"] if c["verdict"] != "ok"]


def test_all_well(run, write, server, primary):
    write(gpt=primary | {"api_key": {"env": "MY_KEY"}}, local="ollama/llama3.2:3b")
    result = run("doctor")  # MY_KEY is not set, but a server of one's own needs none
    assert result.exit_code == 0, result.output
    assert "0 to look at, 0 failed" in result.stdout
    assert "chat" in result.stdout


def test_missing_key_and_no_ollama(run, write):
    write(gpt={"model": "openai/gpt-4o"}, local="ollama/llama3.2:3b")
    result = run("doctor")
    assert result.exit_code == 1
    assert "no key" in result.stdout
    assert "→ export OPENAI_API_KEY=…" in result.stdout
    assert "→ ollama serve" in result.stdout
    assert "the last resort, local, would not answer" in result.stdout


def test_key_in_the_file_is_a_warning_and_never_shown(run, write, server, primary):
    write(gpt=primary, local="ollama/llama3.2:3b")
    result = run("doctor")
    assert result.exit_code == 0
    assert 'api_key = { env = "OPENAI_API_KEY" }' in result.stdout
    assert SECRET not in result.output
    assert SECRET not in run("doctor", "--json", "--check").output


def test_unreachable_closed_target(run, write, server, nobody):
    write(gpt={"model": "openai/gpt-4o", "api_base": f"{nobody}/v1"}, local="ollama/llama3.2:3b")
    found = _verdicts(run("doctor", "--json"))
    assert nobody in found["fail", "gpt"]["text"]
    assert "refused" in found["fail", "gpt"]["text"]
    assert found["fail", "gpt"]["mend"].startswith(f"curl -I {nobody}/v1")


def test_address_that_is_not_known(run, write, server):
    write(odd="azure/gpt-4o", local="ollama/llama3.2:3b")
    wrong = [c for c in _wrong(run("doctor", "--json")) if "address is not known" in c["text"]]
    assert [c["mend"] for c in wrong] == ['[targets.odd] api_base = "https://…"']


def test_no_key_and_no_prompt_goes_to_the_closed_target(run, write, server, primary, sham):
    write(gpt=primary | {"api_base": f"{sham.url}/v1"}, local="ollama/llama3.2:3b")
    assert run("doctor").exit_code == 0
    ((asked, headers),) = sham.asked
    assert asked == "HEAD /v1"
    assert SECRET not in str(headers)


@pytest.mark.parametrize("how", [{"health": "models"}, {}])
def test_a_refused_key_is_found_where_the_provider_may_be_asked(run, write, server, primary, how):
    server.fault("primary", "auth", everywhere=True)
    table = primary | how | {"api_key": {"env": "MY_KEY"}}
    write(gpt=table, local="ollama/llama3.2:3b")
    flags = [] if how else ["--check"]
    found = _verdicts(run("doctor", "--json", *flags))
    assert "the key is refused" in found["fail", "gpt"]["text"]
    assert found["fail", "gpt"]["mend"] == "export MY_KEY=…"


def test_a_model_that_no_list_names_may_answer_all_the_same(run, write, server, primary):
    write(gpt=primary | {"model": "openai/own-alias"}, local="ollama/llama3.2:3b")
    result = run("doctor", "--check", "--json")
    assert result.exit_code == 0
    assert [c["verdict"] for c in _wrong(result) if "not among the models" in c["text"]] == ["warn"]


def test_model_not_pulled(run, write, server, folder):
    write(local="ollama/mistral:7b")
    result = run("doctor")
    assert result.exit_code == 1
    assert "→ pilotlight pull local" in result.stdout


def test_the_mend_can_be_typed_as_it_stands(run, folder, server):
    path = folder / "other one.toml"
    path.write_text(
        '[targets.local]\nmodel = "ollama/mistral:7b"\n[routes.chat]\ntargets = ["local"]\n'
    )
    mend = _verdicts(run("--config", str(path), "doctor", "--json"))["fail", "local"]["mend"]
    program, *arguments = shlex.split(mend)
    assert program == "pilotlight"
    assert run(*arguments).exit_code == 0
    assert run("--config", str(path), "doctor").exit_code == 0


@pytest.mark.parametrize(
    ("model", "state", "said"),
    [
        ("gpt-oss:120b-cloud", "cloud", "runs on ollama.com"),
        ("disguised:7b", "cloud", "runs on https://ollama.com:443"),
        ("nomic-embed-text", "cant_chat", "can't chat"),
    ],
)
def test_cloud_names_and_stubs_and_embedders_fail(run, write, server, model, state, said):
    write(local=f"ollama/{model}")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["targets"][0]["state"] == state
    found = _verdicts(result)
    assert said in found["fail", "local"]["text"]
    assert found["fail", "local"]["mend"] == '[targets.local] model = "ollama/llama3.2"'
    assert ("ok", "route chat") not in found


def test_routes_without_a_local_last_resort(run, write, server, primary):
    write(gpt=primary)
    found = _verdicts(run("doctor", "--json"))
    assert "no local last resort" in found["warn", "route chat"]["text"]
    write(gpt=primary, private=True)
    assert ("fail", "route chat") in _verdicts(run("doctor", "--json"))
    write(route=["local", "gpt"], gpt=primary, local="ollama/llama3.2:3b")
    found = _verdicts(run("doctor", "--json"))
    assert "not the last" in found["warn", "route chat"]["text"]
    assert found["warn", "route chat"]["mend"] == '[routes.chat] targets = ["gpt", "local"]'


def test_what_a_fallback_can_not_do_is_said_before_the_outage(run, write, server, primary):
    write(gpt=primary | {"abilities": ["tools", "images"]}, local="ollama/llama3.2:3b")
    result = run("doctor", "--json")
    told = [c for c in _wrong(result) if "can't" in c["text"]]
    assert [(c["verdict"], c["about"]) for c in told] == [("warn", "route chat")]
    assert told[0]["text"].startswith("local can't do images, which gpt can")
    assert "abilities" in told[0]["mend"]
    assert json.loads(result.stdout)["routes"][0]["gaps"] == {"local": ["images"]}
    write(gpt=primary | {"abilities": ["tools"]}, local="ollama/llama3.2:3b")
    assert "can't do" not in run("doctor").stdout


def test_target_off_every_route(run, write, server, primary):
    write(route=["local"], gpt=primary, local="ollama/llama3.2:3b")
    texts = [c["text"] for c in _wrong(run("doctor", "--json"))]
    assert "no route leads to it" in texts


def test_without_a_configuration(run, server):
    result = run("doctor")
    assert result.exit_code == 1
    assert "→ pilotlight init" in result.stdout
    assert "has llama3.2:3b" in result.stdout


def test_wrong_configuration_is_a_finding(run, folder):
    (folder / "pilotlight.toml").write_text("[targets.a]\n")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (said["ok"], said["targets"], said["routes"]) == (False, [], [])
    assert "targets.a.model: missing" in said["checks"][0]["text"]
    assert said["checks"][0]["mend"].startswith("correct ")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("ftp://house", "unset OLLAMA_HOST"),
        ("nobody", "ollama serve"),
        ("empty", "no local chat model"),
    ],
)
def test_what_is_said_of_ollama_without_a_configuration(
    run, server, nobody, monkeypatch, host, said
):
    hosts = {"nobody": nobody, "empty": server.base("empty")}
    server.fault("empty", "missing")
    monkeypatch.setenv("OLLAMA_HOST", hosts.get(host, host))
    assert said in run("doctor").stdout


def test_no_routes(run, folder, server):
    (folder / "pilotlight.toml").write_text('[targets.local]\nmodel = "ollama/llama3.2:3b"\n')
    result = run("doctor")
    assert result.exit_code == 1
    assert '→ [routes.chat] targets = ["local"]' in result.stdout


def test_an_ollama_on_another_machine_is_not_this_one(run, write, server):
    url = server.base("local").replace("127.0.0.1", "0x7f.1")  # loopback, but who can tell
    write(local={"model": "ollama/llama3.2:3b", "api_base": url})
    found = _verdicts(run("doctor", "--json"))
    assert "private calls pass it over" in found["warn", "local"]["text"]
    assert 'local_addresses = ["0x7f.1"]' in found["warn", "local"]["mend"]


class TestRetirement:
    """Days to a model's end."""

    def test_the_end_is_near(self, run, write, server, primary, near):
        write(gpt=primary | near | {"replacement": "gpt-5"}, local="ollama/llama3.2:3b")
        told = [c for c in _wrong(run("doctor", "--json")) if "days left" in c["text"]]
        assert [(c["verdict"], c["about"]) for c in told] == [("warn", "gpt")]
        assert "by the configuration" in told[0]["text"]
        assert told[0]["mend"] == '[targets.gpt] model = "openai/gpt-5"'

    @pytest.fixture
    def near(self):
        from datetime import UTC, datetime, timedelta

        return {"retires": str((datetime.now(UTC) + timedelta(days=20)).date())}

    def test_the_end_has_come(self, run, write, server, primary):
        write(gpt=primary | {"retires": "2020-01-01"}, local="ollama/llama3.2:3b")
        result = run("doctor", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["targets"][0]["state"] == "retired"
        assert "is retired" in _verdicts(result)["fail", "gpt"]["text"]

    def test_its_provider_knows_better_than_a_list(self, run, write, server, primary):
        write(gpt=primary | {"retires": "2020-01-01"}, local="ollama/llama3.2:3b")
        result = run("doctor", "--check", "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["targets"][0]["state"] == "ok"
        assert any("ended on 2020-01-01" in c["text"] for c in _wrong(result))


class TestLoadedOtherwise:
    """What it costs that the server has loaded the model as somebody else wanted it."""

    def told(self, run, write, model, **more):
        write(local={"model": f"ollama/{model}"} | more)
        result = run("doctor", "--json")
        assert result.exit_code == 0
        return {c["text"]: c["mend"] for c in _wrong(result)}

    @pytest.fixture
    def models(self, server, monkeypatch):
        from pilotlight_chaos import ChaosServer

        models = (
            LocalModel("small:1b", loaded=True, num_ctx=4096),
            LocalModel("right:1b", loaded=True, num_ctx=8192),
            LocalModel("short:1b", loaded=True, num_ctx=2048, context_length=2048),
            LocalModel("half:1b", loaded=True, num_ctx=8192, size=1000, size_vram=600),
            LocalModel("slow:1b", loaded=True, num_ctx=8192, size=1000, size_vram=0),
        )
        with ChaosServer(models=models) as other:
            monkeypatch.setenv("OLLAMA_HOST", other.base("local"))
            yield other

    def test_with_less_context_than_calls_ask_for(self, run, write, models):
        (text, mend), *rest = self.told(run, write, "small:1b").items()
        assert text.startswith("loaded with 4k tokens of context, calls ask for 8k")
        assert mend == "ollama stop small:1b"
        assert not rest

    def test_on_another_server_the_command_says_which(self, run, write, models, nobody):
        import os

        base = os.environ["OLLAMA_HOST"]
        os.environ["OLLAMA_HOST"] = nobody
        mends = self.told(run, write, "small:1b", api_base=base).values()
        assert list(mends) == [f"OLLAMA_HOST={base} ollama stop small:1b"]

    @pytest.mark.parametrize("model", ["right:1b", "short:1b"])
    def test_as_calls_will_ask_for_it(self, run, write, models, model):
        assert self.told(run, write, model) == {}

    def test_more_is_asked_for_than_the_model_was_trained_for(self, run, write, models):
        told = self.told(run, write, "short:1b", context=4096)
        assert list(told.values()) == ["[targets.local] context = 2048"]

    @pytest.mark.parametrize(
        ("model", "said"), [("half:1b", "40% of it runs on the CPU"), ("slow:1b", "it runs on the")]
    )
    def test_not_in_video_memory(self, run, write, models, model, said):
        (text, mend), *rest = self.told(run, write, model).items()
        assert text.startswith(said)
        assert mend.startswith("ollama ps")
        assert not rest


def test_local_models_are_measured(run, write, server, primary):
    table = {"model": "ollama/llama3.2:3b", "concurrency": 8, "queue": 2}
    write(gpt=primary, local=table)
    result = run("doctor", "--local")
    assert result.exit_code == 0, result.output
    for told in ("tokens/s alone", "of context", "a surge of", "concurrency = "):
        assert told in result.stdout
    document = json.loads(run("doctor", "--local", "--json").stdout)
    (seen,) = document["local"]
    assert seen["target"] == "local" and seen["measured"]["speed"] > 0
    told = [check["text"] for check in document["checks"] if check["about"] == "local"]
    assert any("concurrency = 8, but its server writes" in text for text in told)


def test_one_that_is_missing_is_told_of_and_the_rest_measured(run, write, server):
    write(gone="ollama/mistral:7b", local="ollama/llama3.2:3b")
    document = json.loads(run("doctor", "--local", "--json").stdout)
    assert [seen["target"] for seen in document["local"]] == ["local"]
    assert any("was not measured" in check["text"] for check in document["checks"])
