"""How every mistake in a configuration is told, and that no key is ever shown."""

from __future__ import annotations

import pytest

import pilotlight
from pilotlight import AllTargetsFailed, ConfigError, DeadlineExceeded, Pilotlight, load
from pilotlight.catalog import providers
from pilotlight.catalog.providers import CATALOG, meant
from pilotlight.config.schema import TABLES, load_config, parse
from pilotlight.errors import DOCS
from pilotlight.registry import Registry
from tests.docs.pages import ROOT, anchors

WELL = """
[targets.gpt]
model = "openai/gpt-4o"

[targets.local]
model = "ollama/llama3.2"
"""
CHAT = '\n[routes.chat]\ntargets = ["gpt", "local"]\n'


def refused(text: str, folder) -> str:
    """What the ConfigError says of this file."""
    (folder / "pilotlight.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(folder / "pilotlight.toml")
    assert caught.value.__suppress_context__  # pydantic's own report would show the input
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


# How a mistake is told: file, key, value, mend.

MISTAKES = [
    ('[target.gpt]\nmodel = "openai/x"', "target: unknown key; did you mean 'targets'?"),
    (
        '[targets.gpt]\nmodle = "openai/x"\nmodel = "openai/x"',
        "targets.gpt.modle: unknown key; did you mean 'model'?",
    ),
    (
        "[targets.gpt]\nzzz = 1\nmodel = 'openai/x'",
        "targets.gpt.zzz: unknown key; valid keys: abilities, api, api_base, api_key",
    ),
    ("[targets.gpt]", "targets.gpt.model: missing; add `model = ...`"),
    ("[targets.gpt]\nmodel = 3", "targets.gpt.model: should be a valid string"),
    (
        "[targets.gpt]\nmodel = 'gpt-4o'",
        "targets.gpt.model: 'gpt-4o' names no provider; write \"openai/gpt-4o\"",
    ),
    ("[targets.gpt]\nmodel = 'openai/'", "targets.gpt.model: 'openai/' is not `provider/model`"),
    (
        "[targets.gpt]\nmodel = 'opnai/gpt-4o'",
        "targets.gpt.model: no provider is called 'opnai'; did you mean \"openai/gpt-4o\"?",
    ),
    (
        "[targets.gpt]\nmodel = 'openai:gpt-4o'",
        "targets.gpt.model: 'openai:gpt-4o' names no provider; write \"openai/gpt-4o\"",
    ),
    ("targets = ['openai/x']", "targets: should be a table, got ['openai/x']"),
    ("[targets]\ngpt = 'openai/x'", "targets.gpt: should be a table, got 'openai/x'"),
    (
        "[targets.gpt]\nmodel = 'openai/x'\nconcurrency = true",
        "targets.gpt.concurrency: should be a number, got true",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\nabilities = 'tools'",
        "targets.gpt.abilities: should be an array, got 'tools'",
    ),
    (
        WELL + "[routes.chat]\ntargets = ['openai/gpt-4o']",
        "routes.chat.targets: unknown target 'openai/gpt-4o'; name it in a table: [targets.NAME] ",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\ntimeout = -5",
        "targets.gpt.timeout: should be greater than 0, got -5",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\n[routes.a]\ntargets = ['gpt']\npriority = 'urgent'",
        "routes.a.priority: should be 'high', 'normal' or 'low'",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\ntimeout = 'soon'",
        "targets.gpt.timeout: a duration is a number of seconds",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\ntimeout = {totl = 5}",
        "targets.gpt.timeout.totl: unknown key; did you mean 'total'?",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\nconcurrency = 0",
        "targets.gpt.concurrency: should be greater than or equal to 1, got 0",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\nbreaker = {failure_rate = 1.5}",
        "targets.gpt.breaker.failure_rate: should be less than or equal to 1, got 1.5",
    ),
    (
        "[targets.gpt]\nmodel = 'openai/x'\nabilities = ['tools', 'image']",
        "targets.gpt.abilities.1: unknown ability; did you mean 'images'?, got 'image'",
    ),
    ("[breaker]\nwindw = 3", "breaker.windw: unknown key; did you mean 'window'?"),
    (
        "[retry]\nmax_retries = -1",
        "retry.max_retries: should be greater than or equal to 0, got -1",
    ),
    (WELL + "[routes.chat]\ntargets = []", "routes.chat.targets: needs at least one entry"),
    (WELL + "[routes.chat]", "routes.chat.targets: missing; add `targets = ...`"),
    (
        WELL + "[routes.chat]\ntargets = ['locl']",
        "routes.chat.targets: unknown target 'locl'; did you mean 'local'?",
    ),
    (
        WELL + "[routes.chat]\ntargets = ['zzz']",
        "routes.chat.targets: unknown target 'zzz'; add a table [targets.zzz]",
    ),
    (
        WELL + "[routes.chat]\ntargets = ['gpt', 'local', 'gpt']",
        "routes.chat.targets: 'gpt' stands there twice; name it once",
    ),
    (
        WELL + CHAT + "on_interrupt = 'splice'",
        "routes.chat.on_interrupt: should be 'raise' or 'restart', got 'splice'",
    ),
    (
        WELL + CHAT + "total_timeout = true",
        "routes.chat.total_timeout: a duration is a finite number of seconds, got true",
    ),
    (
        WELL + CHAT + "fail_over_on = ['content_block']",
        "routes.chat.fail_over_on: 'content_block' is not left to policy; did you mean 'content_b",
    ),
    (
        WELL + CHAT + "fail_over_on = ['timeout']",
        "routes.chat.fail_over_on: 'timeout' is not left to policy; ",
    ),
]


@pytest.mark.parametrize(
    ("text", "told"), MISTAKES, ids=[told.partition(";")[0] for _, told in MISTAKES]
)
def test_each_mistake_names_file_key_value_and_mend(folder, text, told):
    assert f"pilotlight.toml: {told}" in refused(text, folder)


def test_all_mistakes_are_told_at_once(folder):
    said = refused("[targets.gpt]\nmodel = 'openai/x'\nqueue = -1\nzzz = 1\n[targets.b]", folder)
    assert len(said.splitlines()) == 3
    assert all("pilotlight.toml: targets." in line for line in said.splitlines())


# Keys stay secret.

SECRET = "sk-proj-1234567890abcdef"


def test_a_key_never_shows(monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    config = load_config({
        "targets": {
            "a": {"model": "openai/x", "api_key": SECRET},
            "b": {"model": "openai/x", "api_key": {"env": "MY_KEY"}},
        },
        "routes": {"chat": {"targets": ["a", "b"]}},
    })  # fmt: skip
    assert [t.api_key.reveal() for t in config.targets.values()] == [SECRET, SECRET]
    pilot = pilotlight.Pilotlight(config)
    route = pilot.route("chat")
    shown = [
        repr(config), str(config), config.model_dump_json(), repr(pilot), repr(route),
        repr(route.targets), repr(pilot.registry.records), repr(vars(pilot)),
    ]  # fmt: skip
    assert not [text for text in shown if SECRET in text]


@pytest.mark.parametrize(
    "line",
    [
        f"api_key = ['{SECRET}']",
        f"api_key = {{ vlue = '{SECRET}' }}",
        f"api_key = {{ env = ['{SECRET}'] }}",
        f"apikey = '{SECRET}'",
        f"api_key = '{SECRET}'\nqueue = -1",
    ],
)
def test_an_error_never_quotes_a_key(folder, line):
    said = refused(f"[targets.gpt]\nmodel = 'openai/x'\n{line}", folder)
    assert SECRET not in said
    assert "targets.gpt" in said


def test_broken_toml_does_not_quote_the_line_of_a_key(folder):
    assert SECRET not in refused(f"[targets.gpt]\napi_key = '{SECRET}", folder)


def test_a_key_of_the_environment_is_found_by_its_usual_name(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    one = load({"targets": {"a": {"model": "openai/x"}}}).target("a")
    two = load({"targets": {"a": {"model": "openai/x", "api_key": SECRET}}}).target("a")
    assert one.health is two.health


@pytest.mark.parametrize(
    ("model", "key", "told"),
    [
        ("openai/gpt-4o", None, "no API key: set OPENAI_API_KEY"),
        ("cohere/command-a", None, "no API key: set COHERE_API_KEY"),
        ("mistral/x", {"env": "A_KEY_OF_MINE"}, "no API key: set A_KEY_OF_MINE"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_missing_key_is_told_with_its_mend(monkeypatch, model, key, told, stream):
    for name in (
        "OPENAI_API_KEY",
        "COHERE_API_KEY",
        "CO_API_KEY",
        "MISTRAL_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    target = {"model": model, **({"api_key": key} if key else {})}
    given = {"targets": {"t": target}, "routes": {"r": {"targets": ["t"]}}}
    with Pilotlight(parse(given, "test"), registry=Registry()) as app:
        ask = [{"role": "user", "content": "hi"}]
        with pytest.raises(AllTargetsFailed) as raised:
            list(app.route("r").stream(ask)) if stream else app.route("r").complete(ask)
    assert told in str(raised.value)


# A provider's name is a slip of a known one, another name for it, or nobody's business of ours.


@pytest.mark.parametrize("name", sorted(CATALOG))
@pytest.mark.parametrize("slip", ["case", "left out", "twice", "swapped"])
def test_a_slip_in_a_providers_name_is_found(name, slip):
    place = len(name) // 2
    typed = {
        "case": name.title(),
        "left out": name[:place] + name[place + 1 :],
        "twice": name[:place] + name[place] + name[place:],
        "swapped": name[: place - 1] + name[place] + name[place - 1] + name[place + 1 :],
    }[slip]
    found = meant(typed)
    if len(name) > 6 and typed not in CATALOG:
        assert found == name
    assert found is None or found in CATALOG or found in providers._OTHERS


def test_no_provider_that_litellm_knows_is_taken_for_a_slip():
    from litellm.types.utils import LlmProviders

    assert [each.value for each in LlmProviders if meant(each.value)] == []


@pytest.mark.parametrize("told", [["a"], 5, {"a"}, object()])
def test_what_is_no_source_of_a_configuration_is_named(told):
    with pytest.raises(ConfigError, match="load.. takes a path or a mapping"):
        load(told)


# Where the documentation of a key is.


@pytest.mark.parametrize(
    ("table", "key"), [(t, k) for t, m in TABLES.items() for k in m.model_fields]
)
def test_an_error_leads_to_the_documentation_of_its_key(table, key):
    """Whatever is wrong with it: each key has a kind that this is not of."""
    wrong = object()
    inside: dict[str, object] = {key: wrong}
    if table in ("timeout", "api_key"):
        data = {"targets": {"t": {"model": "openai/x", table: inside}}}
    elif table in ("targets", "routes"):
        data = {table: {"t": {"model": "openai/x", **inside} if table == "targets" else inside}}
    else:
        data = {table: inside}
    with pytest.raises(ConfigError) as caught:
        parse(data, "test")
    if f"{key}: " in str(caught.value):
        pages = [note.removeprefix("see ") for note in caught.value.__notes__]
        assert any(each.endswith(f"/#{table}-{key}") for each in pages)
        for each in pages:
            name, _, anchor = each.removeprefix(DOCS).partition("/#")
            assert anchor in anchors(ROOT / "docs" / f"{name}.md")


def test_each_error_leads_to_its_section():
    for error in (ConfigError("x"), AllTargetsFailed("x", [OSError()]), DeadlineExceeded("x")):
        name, _, anchor = error.docs.removeprefix(DOCS).partition("/#")
        assert anchor in anchors(ROOT / "docs" / f"{name}.md")
    assert AllTargetsFailed("x", [OSError()]).__notes__ == [f"see {DOCS}errors/#alltargetsfailed"]
