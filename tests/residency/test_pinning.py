"""A local target's name is looked up once, and leads home or nowhere."""

from __future__ import annotations

import asyncio

import pytest

import pilotlight
from pilotlight import load
from pilotlight.vocabulary.faults import Fault
from pilotlight_chaos import ChaosServer
from tests.residency.guard import MESSAGES, watched

COLOURS = ["sync", "async"]


@pytest.fixture(scope="module")
def server():
    with ChaosServer(models=["llama3.2:3b"]) as running:
        yield running


def routed(server, host, *listed):
    local = {"model": "ollama/llama3.2:3b", "api_base": f"http://{host}:{server.port}/p/local"}
    return load(
        {
            "targets": {"local": {**local, "local_addresses": list(listed)}},
            "routes": {"chat": {"targets": ["local"]}},
        }
    )


def ask(pilot, colour):
    route = pilot.route("chat")
    if colour == "sync":
        return route.complete(MESSAGES, private=True)
    return asyncio.run(route.acomplete(MESSAGES, private=True))


@pytest.mark.parametrize("colour", COLOURS)
def test_a_name_is_looked_up_once_and_can_not_be_bound_anew(server, colour):
    server.reset()
    with routed(server, "box.example", "box.example") as pilot, watched() as guard:
        guard.names["box.example"] = ["127.0.0.1"]
        assert ask(pilot, colour).text
        guard.names["box.example"] = ["192.0.2.7"]  # rebound
        pilot.close()  # a new connection has to be made
        assert ask(pilot, colour).text
        assert ask(pilot, "sync").text
    assert guard.lookups.count("box.example") == 1
    assert guard.address_mismatch == []


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("found", [["192.0.2.7"], ["127.0.0.1", "192.0.2.7"], ["192.0.2.7", "::1"]])
@pytest.mark.parametrize("host", ["localhost", "box.example"])
def test_a_name_that_leads_elsewhere_even_in_part_is_refused(server, colour, found, host):
    server.reset()
    with routed(server, host, "box.example") as pilot, watched() as guard:
        guard.names[host] = found
        with pytest.raises(pilotlight.AllTargetsFailed) as caught:
            ask(pilot, colour)
    attempt = caught.value.receipt.attempts[0]
    assert attempt.fault is Fault.PRIVACY_BOUNDARY
    assert attempt.evidence == (
        f"{host} leads to 192.0.2.7, which is neither loopback nor in local_addresses; "
        "nothing was sent"
    )
    assert isinstance(caught.value.exceptions[0], pilotlight.ProviderFault)
    assert guard.address_mismatch == []
    assert server.requests(probes=True) == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_name_without_an_answer_is_a_connection_error(server, colour):
    with routed(server, "box.example", "box.example") as pilot, watched() as guard:
        guard.names["box.example"] = []
        with pytest.raises(pilotlight.AllTargetsFailed) as caught:
            ask(pilot, colour)
    assert caught.value.receipt.attempts[0].fault is Fault.CONNECTION_ERROR


@pytest.mark.parametrize("listed", ["192.0.2.7", "192.0.2.0/24"])
def test_a_name_may_lead_to_what_is_listed_and_to_nothing_else(server, listed):
    with routed(server, "box.example", "box.example", listed) as pilot, watched() as guard:
        guard.names["box.example"] = ["192.0.2.7"]
        with pytest.raises(pilotlight.AllTargetsFailed) as caught:
            ask(pilot, "sync")
    assert caught.value.receipt.attempts[0].fault is Fault.CONNECTION_ERROR  # the guard's refusal
    assert {what.split("'")[1] for what in guard.address_mismatch} == {"192.0.2.7"}


@pytest.mark.parametrize("colour", COLOURS)
def test_a_pin_holds_for_calls_that_are_not_private_too(server, colour):
    with routed(server, "localhost") as pilot, watched() as guard:
        guard.names["localhost"] = ["192.0.2.7"]
        with pytest.raises(pilotlight.AllTargetsFailed):
            pilot.route("chat").complete(MESSAGES)
    assert guard.address_mismatch == []


def test_an_address_is_looked_up_by_nobody(server):
    server.reset()
    with routed(server, "127.0.0.1") as pilot:
        assert pilot.target("local").provider.connection.pool._pin is None
        assert ask(pilot, "async").text


def test_a_target_that_is_not_local_has_no_pin(server):
    with routed(server, "box.example") as pilot:
        assert not pilot.target("local").local
        assert pilot.target("local").provider.connection.pool._pin is None
