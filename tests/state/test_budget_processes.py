"""Four real processes on one budget, of which one is killed, and its store as well."""

from __future__ import annotations

import pytest
from workers import PATIENCE, Workers

from pilotlight_chaos import ChaosServer

pytestmark = pytest.mark.processes

WORTH = 100  # calls that there is money for


@pytest.fixture
def server():
    with ChaosServer(models=["llama3.2"]) as made:
        yield made


@pytest.fixture(params=["sqlite", "redis"])
def state(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/board.db"
    return request.getfixturevalue("redis_server").url


def spenders(server: ChaosServer, state: str, number=4, calls=50, offline="refuse") -> Workers:
    made = Workers(
        number, "spender.py", server.base("openai"), server.base("ollama"), state, offline,
        str(calls),
    )  # fmt: skip
    try:
        made.wait("ready")
    except BaseException:
        made.kill()
        raise
    return made


def finished(workers: Workers) -> list[dict[str, int]]:
    try:
        workers.wait("done")
        return workers.end()
    except BaseException:
        workers.kill()
        raise


def test_two_hundred_calls_at_once_spend_what_there_is_and_no_more(server, state):
    workers = spenders(server, state)
    workers.say("go")
    told = finished(workers)
    paid = server.hits("openai")
    assert [each["failed"] for each in told] == [0] * 4, told
    assert 0.9 * WORTH <= paid <= WORTH
    assert sum(each.get("local", 0) for each in told) == 200 - paid
    again = spenders(server, state, number=1, calls=WORTH)  # what was spent outlives them all
    again.say("go")
    (last,) = finished(again)
    assert server.hits("openai") == WORTH
    assert last["spent"] == pytest.approx(1.0)


def test_a_killed_process_takes_its_slice_along_and_no_more(server, state):
    workers = spenders(server, state, calls=10)
    workers.say("go")
    workers.wait("done")
    workers.forget()
    workers.say("go")
    assert server.wait_hits("openai", 50, PATIENCE)
    workers.processes[0].kill()
    workers.processes[0].wait(PATIENCE)
    for each in workers.processes[1:]:  # they end in order, and give their slices back
        each.stdin.close()
        each.wait(PATIENCE)
    paid = server.hits("openai")
    rest = spenders(server, state, number=2, calls=WORTH)
    rest.say("go")
    finished(rest)
    workers.kill()
    assert server.hits("openai") <= WORTH
    assert server.hits("openai") >= paid + 1, "what it had not been lent is there for the others"


@pytest.mark.parametrize(("offline", "most"), [("refuse", WORTH), ("local share", 4 * WORTH)])
def test_a_killed_redis_stops_no_call(server, redis_server, offline, most):
    workers = spenders(server, redis_server.url, calls=5, offline=offline)
    workers.say("go")
    workers.wait("done")
    redis_server.kill()
    workers.forget()
    workers.say("go")
    workers.wait("done")
    workers.forget()
    redis_server.start()
    workers.say("go")
    told = finished(workers)
    assert [each["failed"] for each in told] == [0] * 4, told
    assert server.hits("openai") <= most
    assert sum(each.get("paid", 0) + each.get("local", 0) for each in told) == 60
