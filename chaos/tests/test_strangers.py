"""A file of somebody else's runs nothing but our own actions and probes, unless it is trusted."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pilotlight_chaos.commands import command
from pilotlight_chaos.lab import document, runner
from pilotlight_chaos.lab.strangers import OWN, strangers

OURS = {"type": "python", "module": "pilotlight_chaos.actions", "func": "undo"}
FOREIGN = {
    "a program": {"type": "process", "path": "touch", "arguments": "pwned"},
    "a request": {"type": "http", "url": "http://127.0.0.1:1/pwned"},
    "another module": {"type": "python", "module": "os", "func": "system", "arguments": {}},
    "a name like ours": {"type": "python", "module": "pilotlight_chaos_evil", "func": "f"},
    "a module that writes": {
        "type": "python", "module": "pilotlight_chaos.lab.runner", "func": "write",
    },
    "what our module imports": OURS | {"func": "get_args", "module": "pilotlight_chaos.storage"},
    "no function": OURS | {"func": "__doc__"},
    "a module to be filled in": OURS | {"module": "${evil}"},
    "another kind": {"type": "rust"},
    "no mapping": "touch pwned",
}  # fmt: skip


def activity(provider, kind="action"):
    return {"type": kind, "name": "evil", "provider": provider, "tolerance": True}


def experiment(**changes):
    return {
        "title": "t",
        "description": "d",
        "steady-state-hypothesis": {"title": "h", "probes": []},
        "method": [],
        "rollbacks": [],
    } | changes


# Every place in which chaostoolkit runs or imports what it is told.
PLACES = {
    "method": lambda provider: experiment(method=[activity(provider)]),
    "rollback": lambda provider: experiment(rollbacks=[activity(provider)]),
    "probe": lambda provider: experiment(
        **{"steady-state-hypothesis": {"title": "h", "probes": [activity(provider, "probe")]}}
    ),
    "tolerance": lambda provider: experiment(
        method=[activity(OURS) | {"tolerance": activity(provider, "probe")}]
    ),
    "control": lambda provider: experiment(controls=[{"name": "c", "provider": provider}]),
    "an action's control": lambda provider: experiment(
        method=[activity(OURS) | {"controls": [{"name": "c", "provider": provider}]}]
    ),
    "configuration": lambda provider: experiment(configuration={"x": activity(provider, "probe")}),
}


@pytest.mark.parametrize("kind", [".yaml", ".json"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("provider", FOREIGN)
def test_what_is_not_ours_is_refused_by_name_before_it_is_imported(
    tmp_path, monkeypatch, provider, place, kind
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(document, "ensure_experiment_is_valid", lambda _: pytest.fail("too late"))
    path = tmp_path / f"mine{kind}"
    path.write_text(json.dumps(PLACES[place](FOREIGN[provider])))
    result = CliRunner().invoke(command, ["run", str(path)])
    assert result.exit_code == 1
    assert "--trust" in result.output
    if isinstance(FOREIGN[provider], dict):
        named = FOREIGN[provider].get("path") or FOREIGN[provider].get("module", "")
        assert named in result.output
    assert not (tmp_path / "pwned").exists()
    monkeypatch.undo()
    monkeypatch.setattr(document, "ensure_experiment_is_valid", lambda _: None)
    assert runner.find([str(path)], trust=True)[0].load()["title"] == "t"


LEADING_OUT = [
    {"sensitive": "os:system"},
    {"receipts": "/tmp/x.jsonl"},
    {"targets": {"primary": {"api_base": "https://example.com/v1"}}},
    {"routes": {"chat": {"targets": ["primary"], "sensitive": "os:system"}}},
]


@pytest.mark.parametrize("world", LEADING_OUT)
@pytest.mark.parametrize("block", ["world", "negative_control"])
def test_a_configuration_that_leads_out_of_the_world_is_refused(world, block):
    assert strangers(experiment(configuration={block: {"pilotlight": world}}))


@pytest.mark.parametrize("each", runner.packaged(), ids=lambda each: each.name)
def test_our_own_are_no_strangers(each):
    assert strangers(each.load()) == []
    assert OWN


def test_a_journal_is_its_owners_alone_and_goes_through_no_link(tmp_path):
    path, other = tmp_path / "journals" / "a.json", tmp_path / "other"
    for journal in ({"status": "completed"}, {}):
        runner.write(journal, path)
        assert json.loads(path.read_text()) == journal
        assert path.stat().st_mode & 0o777 == 0o600
    other.write_text("precious")
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(OSError, match="link"):
        runner.write({}, path)
    assert other.read_text() == "precious"


DEEP = "[" * 5000 + "]" * 5000
LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", DEEP, "nested too deeply"),
        ("a.json", "{", "Expecting"),
        ("a.json", "[]", "empty experiment"),
        ("a.yaml", "a: " + DEEP, "nested too deeply"),
        ("a.yaml", "", "empty experiment"),
        ("a.yaml", "a: \x00", "special characters"),
        ("a.yaml", LAUGHS, "more than 100,000 values"),
        ("a.yaml", "a: &a [*a]", "nested too deeply"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "constructor"),
    ],
)
def test_what_is_no_experiment_is_one_line(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(runner.ExperimentError, match=said):
        runner.find([str(path)])[0].load()
