"""When a fault strikes: rate, seed, skip, times, schedule; and what is refused at the setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import pilotlight_chaos
from pilotlight_chaos import KINDS, ChaosServer, Fault, FaultError, make_fault, parameters
from pilotlight_chaos.faults import Act, Address, Delay, Standing

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def timed(hands: Hands) -> Iterator[ChaosServer]:
    with ChaosServer(clock=hands) as server:
        yield server


def statuses(server: ChaosServer, http: httpx.Client, count: int = 1) -> list[int]:
    url = f"{server.base('x')}/v1/chat/completions"
    return [http.post(url, json=BODY).status_code for _ in range(count)]


def over(server: ChaosServer, http: httpx.Client, hands: Hands, seconds: list[float]) -> list[int]:
    begin, seen = hands.now, []
    for second in seconds:
        hands.now = begin + second
        seen += statuses(server, http)
    return seen


def test_a_schedule_says_when(timed: ChaosServer, http: httpx.Client, hands: Hands) -> None:
    timed.fault("x", "server_error", schedule=[(5, 10), (20, 21)])
    seen = over(timed, http, hands, [0, 4.9, 5, 9.9, 10, 20.5, 21, 1000])
    assert seen == [200, 200, 500, 500, 200, 500, 200, 200]


def test_a_period_repeats_it(timed: ChaosServer, http: httpx.Client, hands: Hands) -> None:
    timed.fault("x", "auth", schedule=[(5, 10)], period=10)
    assert over(timed, http, hands, [4, 6, 14, 16, 24, 26]) == [200, 401] * 3


def test_flapping(timed: ChaosServer, http: httpx.Client, hands: Hands) -> None:
    timed.fault("x", "flapping", down=2, up=3)
    seen = over(timed, http, hands, [0, 1.9, 2, 4.9, 5, 6.9, 7])
    assert seen == [503, 503, 200, 200, 503, 503, 200]


def test_time_begins_when_the_fault_is_set(
    timed: ChaosServer, http: httpx.Client, hands: Hands
) -> None:
    timed.fault("x", "server_error", schedule=[(0, 5)])
    assert over(timed, http, hands, [0, 100]) == [500, 200]
    timed.fault("x", "server_error", schedule=[(0, 5)])
    assert over(timed, http, hands, [0, 5]) == [500, 200]


def test_a_schedule_holds_for_states_too(
    timed: ChaosServer, http: httpx.Client, hands: Hands
) -> None:
    timed.fault("ollama", "missing", schedule=[(5, 10)])
    listed = lambda: len(http.get(f"{timed.url}/api/tags").json()["models"])  # noqa: E731
    assert listed() == 1
    hands.now += 6
    assert listed() == 0


def test_skip_then_times(server: ChaosServer, http: httpx.Client) -> None:
    server.fault("x", "server_error", skip=2, times=2)
    assert statuses(server, http, 6) == [200, 200, 500, 500, 200, 200]


def test_a_seed_of_its_own(http: httpx.Client) -> None:
    def run(of_server: int, of_fault: int | None) -> list[int]:
        with ChaosServer(seed=of_server) as server:
            server.fault("x", "server_error", rate=0.5, seed=of_fault)
            return statuses(server, http, 20)

    assert run(1, 7) == run(2, 7) != run(1, 8)
    assert run(1, None) != run(2, None)


def test_jitter_is_drawn_from_the_same_dice() -> None:
    import random

    slow = make_fault("slow", {"seconds": 2.0, "jitter": 0.5})
    assert isinstance(slow, Delay)
    dice = random.Random(1)
    waits = [slow.pace(dice).before for _ in range(200)]
    assert 1.5 <= min(waits) < 1.6 < 2.4 < max(waits) <= 2.5
    again = random.Random(1)
    assert waits == [slow.pace(again).before for _ in range(200)]


def test_delays_go_with_each_other_and_with_one_act(
    server: ChaosServer, http: httpx.Client
) -> None:
    server.fault("x", "slow", seconds=0.001)
    server.fault("x", "drip", bytes_per_second=1e6, add=True)
    server.fault("x", "retired", add=True)
    server.fault("x", "server_error", add=True)
    assert statuses(server, http) == [404]
    assert server.requests("x")[0].fault == "retired"


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("server_error", {"rate": 1.5}, "rate is a number from 0 to 1, not 1.5"),
    ("server_error", {"rate": float("nan")}, "rate is a number from 0 to 1"),
    ("server_error", {"schedule": []}, "schedule is a list of"),
    ("server_error", {"schedule": [(5, 5)]}, "from before to"),
    ("server_error", {"schedule": [(5,)]}, "schedule is a list of"),
    ("server_error", {"schedule": "5 up"}, "schedule is a list of"),
    ("server_error", {"period": 5}, "a period repeats a schedule"),
    ("server_error", {"schedule": [(0, 1)], "period": 0}, "period is a number above 0"),
    ("server_error", {"skip": -1}, "skip is a whole number from 0"),
    ("server_error", {"seed": 1.5}, "seed is a whole number"),
    ("flapping", {"schedule": [(0, 1)]}, "up and down are its schedule"),
    ("flapping", {"down": 0}, "down is a number above 0"),
    ("drip", {"bytes_per_second": 0}, "bytes_per_second is a number above 0"),
    ("slow", {"jitter": -1}, "jitter is a number from 0"),
    ("slow", {"jiter": 1}, "did you mean 'jitter'"),
    ("empty", {"what": "all"}, "what is"),
    ("hang", {"after": 2}, "has no parameter 'after'"),
]


@pytest.mark.parametrize(("kind", "params", "told"), MISTAKES)
def test_mistakes_are_told(
    server: ChaosServer, kind: str, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(FaultError, match=told.replace("(", r"\(")):
        server.fault("x", kind, **params)


@pytest.mark.parametrize("kind", ["dns", "tls", "refused"])
def test_a_fault_of_the_address_is_not_set_on_requests(server: ChaosServer, kind: str) -> None:
    with pytest.raises(FaultError, match="broken_base"):
        server.fault("x", kind)
    with pytest.raises(FaultError, match="set by fault"):
        server.broken_base("x", "hang")


def test_every_fault_has_one_role_and_a_file_of_its_own() -> None:
    folder = Path(str(pilotlight_chaos.__file__)).parent / "faults"
    for kind in KINDS.values():
        roles = [role for role in (Act, Delay, Standing, Address) if issubclass(kind.params, role)]
        assert len(roles) == 1, kind.name
        home = kind.params.__module__.rsplit(".", 1)[1]
        assert home in (kind.name, "status", "eof"), kind.name
        assert (folder / f"{home}.py").exists()
        assert kind.what
        assert dataclasses.is_dataclass(kind.params)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_fault_can_be_made_with_the_common_parameters(kind: str) -> None:
    common = {"rate": 0.5, "seed": 3, "skip": 1, "times": 2, "everywhere": True}
    fault = make_fault(kind, common)
    assert isinstance(fault, Fault)
    assert fault.kind == kind
    assert common.items() <= (parameters(kind) | dataclasses.asdict(fault)).items()
