"""`pilotlight prices`, `prices.lock`, and what doctor, replay and a process make of them."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pilotlight
from pilotlight import ConfigError
from pilotlight.catalog import models
from pilotlight.cli import cli
from pilotlight.config.price_lock import Agreed, locked_beside, read_lock, write_lock
from pilotlight.core.spending.price import Price, PriceCap
from pilotlight.events import PriceChanged
from pilotlight_chaos import ChaosServer
from tests.receipts.kit import call, tried, write

CONFIG = """
receipts = "receipts.jsonl"
[targets.gpt]
model = "openai/gpt-4o"
api_key = { env = "OPENAI_API_KEY" }
price = { input = 2.5, output = 10 }
[targets.listed]
model = "openai/gpt-4o-mini"
[targets.odd]
model = "openai/nobodys-own"
[targets.local]
model = "ollama/llama3.2"
[routes.chat]
targets = ["gpt", "listed", "odd", "local"]
"""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AMOUNTS = st.none() | st.floats(0, 1e6, allow_nan=False)
FIXED = st.floats(0, 1e6, allow_nan=False)
PRICES = st.builds(Price, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, *[AMOUNTS] * 2, *[FIXED] * 3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pilotlight.toml").write_text(CONFIG)
    return tmp_path


def run(*args: str):
    return CliRunner().invoke(cli, args, prog_name="pilotlight")


def test_each_price_is_shown_with_where_it_is_from():
    told = {e["target"]: e for e in json.loads(run("prices", "--json").stdout)["targets"]}
    assert told["gpt"]["source"] == "configuration"
    assert told["listed"]["source"].startswith("litellm ")
    assert told["listed"]["price"]["input"] == 0.15
    assert told["odd"]["source"] == "unknown"
    assert told["local"]["source"] == "local"
    shown = run("prices")
    assert shown.exit_code == 0
    assert "$2.5" in shown.stdout
    assert "no prices are locked" in shown.stderr


@given(st.dictionaries(TEXTS, st.builds(Agreed, TEXTS, PRICES)))
def test_what_is_locked_is_read_again(tmp_path_factory, prices):
    path = tmp_path_factory.mktemp("lock") / "prices.lock"
    write_lock(path, prices)
    assert read_lock(path) == prices


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prices = 4", "prices"),
        ("version = 2", "version"),
        ("version = 1\n[prices.gpt]\nmodel = 'm'\ninput = -1", "prices.gpt.input"),
        ("version = 1\n[prices.gpt]\ninput = 1", "prices.gpt.model"),
        ("version = 1\n[prices.gpt]\nmodel = 'm'\nimput = 1", "prices.gpt.imput"),
        ("[[", "no TOML"),
        ("x = " + "[" * 5000, "no TOML"),
    ],
)
def test_a_broken_lock_is_told_with_its_mend_and_stops_no_call(folder, caplog, text, said):
    lock = folder / "prices.lock"
    lock.write_text(text)
    with pytest.raises(ConfigError, match="writes it anew") as caught:
        read_lock(lock)
    assert str(lock) in str(caught.value)
    assert said in str(caught.value)
    assert locked_beside(folder / "pilotlight.toml") == {}
    assert said in caplog.text
    assert run("prices").exit_code == 2
    assert "prices" in run("doctor").stdout


def test_agreed_prices_are_written_and_a_change_is_told(folder):
    agreed = run("prices", "--lock")
    assert (agreed.exit_code, "these prices are agreed to" in agreed.stderr) == (0, True)
    lock = folder / "prices.lock"
    assert lock.stat().st_mode & 0o777 == 0o644
    assert "odd" not in lock.read_text(), "what is not known can't be agreed to"
    assert "->" not in run("prices").stdout
    (folder / "pilotlight.toml").write_text(CONFIG.replace("output = 10", "output = 20"))
    assert "gpt: output $10 -> $20" in run("prices").stdout
    run("prices", "--lock")
    assert "->" not in run("prices").stdout


def test_doctor_says_what_a_new_price_makes_of_the_last_month(folder):
    run("prices", "--lock")
    tokens = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "cost": 3.5}
    now = time.time()
    write(
        folder / "receipts.jsonl",
        call(now - 40 * 86_400, tried("gpt", **tokens)),
        *(call(now - day * 86_400, tried("gpt", **tokens)) for day in range(1, 5)),
    )
    assert "its price" not in run("doctor").stdout
    (folder / "pilotlight.toml").write_text(CONFIG.replace("output = 10", "output = 20"))
    told = " ".join(run("doctor").stdout.split())
    assert "output $10 -> $20" in told
    assert "would cost $4.00 more ($14.00 -> $18.00)" in told
    assert "pilotlight prices --lock" in told


def test_a_log_is_reckoned_at_the_prices_of_a_file(folder):
    tokens = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "cost": 3.5}
    write(folder / "receipts.jsonl", call(time.time(), tried("gpt", **tokens)))
    write_lock(folder / "new.lock", {"gpt": Agreed("openai/gpt-4o", Price(5.0, 20.0))})
    told = json.loads(run("replay", "--prices", "new.lock", "--json").stdout)
    assert (told["then"]["cost"], told["now"]["cost"]) == (3.5, 7.0)
    assert "$7.00" in run("replay", "--prices", "new.lock").stdout
    assert run("replay", "--prices", "new.lock", "--set", "a=1").exit_code == 2
    write_lock(folder / "new.lock", {})
    assert "no known cost" in run("replay", "--prices", "new.lock").stderr


def test_the_cost_of_a_log_is_told(folder):
    tokens = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "cost": 3.5}
    write(folder / "receipts.jsonl", call(time.time(), tried("gpt", **tokens)))
    assert run("receipts", "--cost").stdout.startswith("$3.50 in 1 call\n")
    assert json.loads(run("receipts", "--cost", "--json").stdout)["cost"] == 3.5
    (folder / "pilotlight.toml").unlink()
    assert run("receipts", "receipts.jsonl", "--cost").stdout.startswith("$3.50 in 1 call\n")


# In a process.


def load(server: ChaosServer, folder, **more):
    base = f"{server.base('openai')}/v1"
    keys = "\n".join(f"{name} = {value}" for name, value in more.items())
    (folder / "pilotlight.toml").write_text(
        f'[targets.gpt]\nmodel = "openai/gpt-4o"\napi_base = "{base}"\napi_key = "k"\n{keys}\n'
        f'[targets.local]\nmodel = "ollama/llama3.2"\napi_base = "{server.base("ollama")}"\n'
        '[routes.chat]\ntargets = ["gpt", "local"]\n'
    )
    return pilotlight.load()


@pytest.fixture
def server():
    with ChaosServer(models=["llama3.2"]) as made:
        yield made


@pytest.fixture
def heard():
    found = []
    pilotlight.listeners.append(found.append)
    yield found
    pilotlight.listeners.remove(found.append)


ASK = [{"role": "user", "content": "hi"}]


def test_a_price_that_is_not_the_agreed_one_is_told_once(
    server, folder, heard, caplog, monkeypatch
):
    monkeypatch.delenv("PILOTLIGHT_TELEMETRY", raising=False)
    write_lock(folder / "prices.lock", {"gpt": Agreed("openai/gpt-4o", Price(1.25, 10.0))})
    with load(server, folder) as app:
        for _ in range(3):
            app.route("chat").complete(ASK)
    told = [each for each in heard if isinstance(each, PriceChanged)]
    assert [(each.target, each.agreed["input"], each.price["input"]) for each in told] == [
        ("gpt", 1.25, 2.5)
    ]
    lines = [each.message for each in caplog.records if "price gpt" in each.message]
    assert len(lines) == 1
    assert "input $1.25 -> $2.5" in lines[0]


def test_an_agreed_price_is_no_news(server, folder, heard):
    with load(server, folder):
        run("prices", "--lock")
    with load(server, folder) as app:
        app.route("chat").complete(ASK)
    assert not [each for each in heard if isinstance(each, PriceChanged)]


def test_a_target_above_its_max_price_is_skipped_until_somebody_agrees(server, folder, monkeypatch):
    rows = dict(models.table())
    monkeypatch.setattr(models, "table", lambda: rows)
    with load(server, folder, max_price="{ output = 15 }") as app:
        route = app.route("chat")
        assert route.complete(ASK).served_by == "gpt"
        rows["openai/gpt-4o"] = {**rows["gpt-4o"], "output_cost_per_token": 2e-5}
        answer = route.complete(ASK)
        assert answer.served_by == "local"
        (skipped,) = answer.receipt.skipped
        assert skipped.reason == "price"
        assert skipped.detail == "output costs $20, and max_price is $15"
        assert app.target("gpt").health.breaker.state.name == "closed"
        rows.clear()
        assert route.complete(ASK).receipt.skipped[0].detail == "its price is not known"


@pytest.mark.parametrize(
    ("cap", "price", "said"),
    [
        (PriceCap(), Price(9e9, 9e9), ""),
        (PriceCap(input=3.0), Price(3.0, 9e9), ""),
        (PriceCap(input=3.0), Price(3.1, 1.0), "input costs $3.1, and max_price is $3"),
        (PriceCap(input=3.0), Price(), "its price is not known"),
        (PriceCap(image=0.0), Price(image=0.04), "image costs $0.04, and max_price is $0"),
        (PriceCap(per_hour=1.0), Price(per_hour=0.4), ""),
    ],
)
def test_a_cap_holds_for_what_it_names(cap, price, said):
    assert cap.exceeded(price) == said
