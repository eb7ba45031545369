"""What a local check finds, of every kind of server; it never raises, loads or is redirected."""

from __future__ import annotations

import httpx
import pytest
from sham import ENTRY, MODEL, SHOWN, Sham, local_target

from pilotlight.health.checks import LocalCheck, check_local, check_target
from pilotlight.health.server import NotAsExpected
from pilotlight.providers.ollama.loading import default_context
from pilotlight_chaos import ChaosServer, LocalModel

MODELS = (
    LocalModel("llama3.2:3b", loaded=True, num_ctx=8192, size=1000, size_vram=250),
    LocalModel("qwen3:8b", capabilities=("completion", "tools", "thinking"), context_length=4096),
    LocalModel("innocent:7b", remote_host="https://ollama.com:443", remote_model="gpt-oss:120b"),
    LocalModel("nomic-embed-text", capabilities=("embedding",)),
)


@pytest.fixture(scope="module")
def running():
    with ChaosServer(models=MODELS) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


def look(base: str, model: str = MODEL, **more) -> LocalCheck:
    with httpx.Client(trust_env=False) as client:
        return check_local(client, base, model, **more)


class TestOverHttp:
    def test_lit(self, server):
        found = look(server.base("local"))
        assert (found.state, found.version, found.problem) == ("loaded", "0.33.0", None)
        assert found.capabilities == {"completion", "tools"}
        assert (found.training_context, found.effective_context) == (131072, 8192)
        assert found.vram_share == 0.25
        assert found.lacks == {"images", "thinking"}
        assert server.hits() == 0, "nothing was loaded or generated"

    @pytest.mark.parametrize(
        "name", ["QWEN3:8B", "library/qwen3:8b", "registry.ollama.ai/library/qwen3:8b"]
    )
    def test_cold_by_any_of_its_names(self, server, name):
        found = look(server.base("local"), name)
        assert (found.state, found.training_context) == ("installed", 4096)
        assert (found.effective_context, found.vram_share) == (None, None)
        assert "thinking" not in found.lacks

    def test_the_tag_latest_is_implied(self, server):
        found = look(server.base("local"), "nomic-embed-text")
        assert found.state == "installed"
        assert "can't chat" in found.problem

    def test_missing(self, server):
        found = look(server.base("local"), "mistral")
        assert (found.state, found.failed) == ("missing", "local_model_missing")
        assert found.problem == "mistral:latest is not installed"
        assert found.mend == "pilotlight pull mistral"

    def test_a_stub_under_an_innocent_name(self, server):
        found = look(server.base("local"), "innocent:7b")
        assert (found.state, found.remote_host) == ("cloud", "https://ollama.com:443")
        assert found.failed is None, "it can answer; but not here"

    def test_a_model_that_turns_into_a_stub_is_found_out_although_known(self, server):
        known = look(server.base("local"))
        server.fault("local", "cloud_stub")
        assert look(server.base("local"), known=known).state == "cloud"

    @pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "qwen3:cloud"])
    def test_a_cloud_name_need_not_be_listed(self, server, name):
        found = look(server.base("local"), name)
        assert (found.state, found.remote_host) == ("cloud", "ollama.com")

    def test_a_server_that_has_been_told_never_to_use_the_cloud(self):
        with ChaosServer(cloud_disabled=True) as server:
            assert "told not to" in look(server.base("local"), "x:cloud").problem

    def test_nobody_there(self):
        with ChaosServer() as server:
            base = server.base("local")
        found = look(base)
        assert (found.state, found.failed, found.mend) == (
            "unreachable",
            "health_check",
            "ollama serve",
        )

    @pytest.mark.parametrize(
        "kind", ["garbage", "truncated_json", "server_error", "bad_gateway", "reset"]
    )
    def test_a_server_that_answers_nonsense(self, server, kind):
        server.fault("local", kind, everywhere=True)
        assert look(server.base("local")).state == "unreachable"

    def test_a_server_that_hangs_is_left_by_the_taps_clock(self, server, monkeypatch):
        from pilotlight.core.provider import Timeouts
        from pilotlight.health import checks

        monkeypatch.setattr(checks, "CHECK_TIMEOUTS", Timeouts(2.0, None, None, total=0.05))
        server.fault("local", "hang", everywhere=True)
        found = check_target(local_target(api_base=server.base("local")))
        assert (found.state, "no answer in time" in found.problem) == ("unreachable", True)

    def test_through_a_targets_own_connections(self, server):
        target = local_target(api_base=server.base("local"))
        assert check_target(target).state == "loaded"


class TestOldAndOddServers:
    """Field sets of servers from 0.3 on, and what stands in front of some."""

    def check(self, model: str = MODEL, **paths) -> tuple[LocalCheck, Sham]:
        sham = Sham(**paths)
        return check_local(sham.client(), "http://127.0.0.1:1", model), sham

    def test_no_capabilities_no_status_no_context_in_ps(self):
        shown = {"model_info": SHOWN["model_info"]}
        ps = {"models": [{"name": MODEL, "size": 10, "size_vram": 10}]}
        found, _ = self.check(show=shown, status=(404, "404 page not found"), ps=ps)
        assert (found.state, found.capabilities, found.lacks) == ("loaded", None, frozenset())
        assert (found.effective_context, found.vram_share) == (None, 1.0)

    def test_no_ps_at_all(self):
        found, _ = self.check(ps=(404, "404 page not found"))
        assert (found.state, found.problem) == ("installed", None)

    def test_show_fails(self):
        found, _ = self.check(show=(500, {"error": "boom"}))
        assert (found.state, found.capabilities, found.training_context) == (
            "installed",
            None,
            None,
        )

    @pytest.mark.parametrize(
        "broken",
        [
            {"show": {"model_info": None, "capabilities": "tools"}},
            {"show": {"model_info": {"general.architecture": 3}, "capabilities": None}},
            {"ps": {"models": None}},
            {"ps": {"models": [None, 3, {"name": None, "model": 7}]}},
            {
                "ps": {
                    "models": [{"name": MODEL, "size": 0, "size_vram": "x", "context_length": True}]
                }
            },
            {"version": {"version": None}},
            {"version": (404, "404 page not found")},
        ],
    )
    def test_odd_fields_are_unknown_fields(self, broken):
        found, _ = self.check(**broken)
        assert found.state in ("installed", "loaded")

    @pytest.mark.parametrize("models", [None, [], "x", [None]])
    def test_an_empty_list_of_models(self, models):
        found, _ = self.check(tags={"models": models})
        assert found.state == "missing"

    @pytest.mark.parametrize("field", [{"remote_host": "https://x"}, {"remote_model": "y"}])
    def test_either_word_in_show_gives_a_stub_away(self, field):
        found, _ = self.check(show=SHOWN | field)
        assert (found.state, bool(found.remote_host)) == ("cloud", True)

    def test_another_server_on_the_port(self):
        gone = (404, "<h1>nginx</h1>")
        found, _ = self.check(version=gone, tags=gone)
        assert (found.state, "does not answer like Ollama" in found.problem) == (
            "unreachable",
            True,
        )

    def test_a_refusal_tells_its_status(self):
        found, _ = self.check(version=(401, {"error": "unauthorized"}))
        assert "status 401: unauthorized" in found.problem

    def test_a_redirect_is_not_followed(self):
        away = httpx.Response(302, headers={"location": "http://elsewhere.example/"})
        hosts = []

        def answer(request: httpx.Request) -> httpx.Response:
            hosts.append(request.url.host)
            return away

        client = httpx.Client(transport=httpx.MockTransport(answer))
        assert check_local(client, "http://127.0.0.1:1", MODEL).state == "unreachable"
        assert hosts == ["127.0.0.1"]

    def test_the_context_is_read_by_its_whole_name(self):
        found, _ = self.check()
        assert found.training_context == 131072

    def test_what_is_known_by_its_digest_is_not_asked_again(self):
        found, sham = self.check()
        again = check_local(sham.client(), "http://127.0.0.1:1", MODEL, known=found)
        assert sham.asked.count("show") == 1
        assert (again.capabilities, again.training_context) == (
            found.capabilities,
            found.training_context,
        )

    def test_another_digest_is_another_model(self):
        found, sham = self.check()
        sham.answers["tags"] = {"models": [ENTRY | {"digest": "b" * 64}]}
        check_local(sham.client(), "http://127.0.0.1:1", MODEL, known=found)
        assert sham.asked.count("show") == 2

    def test_our_own_bugs_are_raised(self):
        with pytest.raises(RuntimeError):
            self.check(tags=RuntimeError("a bug"))
        assert issubclass(NotAsExpected, ValueError)


@pytest.mark.parametrize(
    ("training", "sent"),
    [(None, 8192), (0, 8192), (131072, 8192), (8192, 8192), (4096, 4096), (2048, 2048)],
)
def test_the_default_context_is_what_the_model_allows(training, sent):
    assert default_context(training) == sent


@pytest.mark.parametrize(
    ("asked", "here", "told"),
    [
        ("llama3.2", ["llama3.2:3b"], "llama3.2:latest is not installed; here is llama3.2:3b"),
        ("llama3.2:1b", ["llama3.2", "llama3.2:3b"], "llama3.2:3b"),
        ("llama3.2", ["llama3.1:8b"], "llama3.2:latest is not installed"),
    ],
)
def test_a_model_that_is_missing_is_told_with_its_nearest(asked, here, told):
    sham = Sham(tags={"models": [{"name": name} for name in here]})
    with sham.client() as client:
        found = check_local(client, "http://127.0.0.1:1", asked)
    assert found.state == "missing" and told in found.problem
    assert found.mend.startswith(f"pilotlight pull {asked}")
    same = [name for name in here if name.partition(":")[0] == asked.partition(":")[0]]
    assert ("# or model" in found.mend) is bool(same)
