"""Every recorded fault, over real sockets, through the real provider path, in each of its modes.

For each: the fault, the number of requests the server saw (one for each attempt),
Retry-After where it was sent, failover or raise as the table says, what it did to
the breaker, and that no partial or empty text came out as an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from pilotlight import (
    AllTargetsFailed,
    Fault,
    PilotlightError,
    Route,
    StreamInterrupted,
    receipts,
)
from pilotlight.app import Pilotlight
from pilotlight.catalog.litellm_module import litellm
from pilotlight.catalog.providers import Spec
from pilotlight.config.schema import parse
from pilotlight.core.flow.failover import Policy
from pilotlight.providers.connection import Connection
from pilotlight.providers.native.manners import manners_of
from pilotlight.registry import Registry
from pilotlight.testing import ScriptedTarget
from pilotlight.vocabulary.faults import RULES, Effect, Elsewhere
from tests.corpus.server import CorpusServer

CORPUS = json.loads((Path(__file__).parent.parent / "corpus.json").read_text("utf-8"))
MESSAGES = [{"role": "user", "content": "Say hello to the whole wide world, please"}]
PROMPT = "a lamp in a window"
BACKUP = "the backup speaks"
FINE = {"ok", "ok_slow", "ok_deprecated", "model_substituted"}
RUNS = itertools.count()
OPENED: list[Pilotlight] = []


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    while OPENED:
        OPENED.pop().close()


# Where one entry can't be told by its own words, the argument stands here.
ARGUED: dict[tuple[str, str], str] = {}


def goes_straight(spec: Spec) -> bool:
    return manners_of(Connection(spec)) is not None


CASES = [
    pytest.param(entry, mode, via, id=f"{entry['id']}-{mode}{'-litellm' if via else ''}")
    for entry in CORPUS
    for mode in (*entry["modes"], *(("gathered",) if "sync" in entry["modes"] else ()))
    # Straight where it speaks a dialect of ours, and then through litellm as well.
    for via in (
        (None, "litellm") if goes_straight(Spec("t", entry["model"], "http://x/v1")) else (None,)
    )
]


@pytest.fixture(scope="module")
def server() -> Any:
    litellm()  # its first import takes seconds

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    with CorpusServer(CORPUS, tls) as running:
        yield running


# A call that is streamed underneath is told more than a plain one, or asks once more, plainly.
TOLD_IN_A_STREAM = {
    "ollama.200.error_body": "local_overloaded",
    "ollama_gen.200.error_body": "local_overloaded",
}
REFUSES_STREAMS = ("mistral.badreq.422",)
PLAIN = Policy(gather="never")


def route_to(
    entry: dict[str, Any], base: str, via: str | None = None, policy: Policy = PLAIN
) -> Route:
    provider = entry["provider"]
    versioned = provider in (
        "openai",
        "mistral",
        "groq",
        "nvidia_nim",
        "openai_compat",
        "hosted_vllm",
    )
    silent = (entry.get("transport") or {}).get("kind") == "hang" or (
        entry.get("stream") or {}
    ).get("end") in ("stall", "keepalive")
    # Where the clocks are to run out they are short; elsewhere a busy machine must not end them.
    clocks = {
        "connect": 1.5 if silent else 10,
        "first_token": 1.5 if silent else 20,
        "between_tokens": 0.5 if silent else 20,
    }
    target = {
        "model": entry["model"],
        "api_base": base + "/v1" if versioned else base,
        "api_key": "sk-corpus-0123456789abcdef",
        "timeout": {**clocks, "total": 1.5 if silent else 30},
        "context": 8192,
        "retry": {
            "wait_initial": 0.001,
            "wait_max": 0.001,
            "only_under": 60,
        },  # on a busy machine as well
        "via": via,
    }
    pilot = Pilotlight(parse({"targets": {"t": target}}, "test"), registry=Registry())
    OPENED.append(pilot)
    backup = ScriptedTarget("backup", BACKUP, local=True, window=10**9)
    return Route("corpus", (pilot.target("t"), backup), policy)


def ask(route: Route, mode: str) -> tuple[Any, str, Any]:
    """Return (receipt, the text that came out, what was raised)."""
    if mode.startswith("image"):
        return ask_for_image(route, mode)
    stream = None
    text, receipt, raised = "", None, None
    try:
        if mode in ("sync", "gathered"):
            answer = route.complete(MESSAGES)
            text, receipt = answer.text, answer.receipt
        elif mode == "async":
            answer = asyncio.run(route.acomplete(MESSAGES))
            text, receipt = answer.text, answer.receipt
        elif mode == "sync_stream":
            stream = route.stream(MESSAGES)
            for _ in stream:
                pass
        else:
            stream = route.astream(MESSAGES)

            async def read() -> None:
                async for _ in stream:
                    pass

            asyncio.run(read())
    except Exception as error:
        raised = error
    if stream is not None:
        text, receipt = stream.text, stream.receipt
    return receipt, text, raised


def ask_for_image(route: Route, mode: str) -> tuple[Any, str, Any]:
    """Return the same of an image: its text is what stands in the place of the picture."""
    with receipts() as log:
        try:
            answer = route.image(PROMPT) if mode == "image_sync" else asyncio.run(draw(route))
            text, raised = answer.images[0].b64_json or answer.images[0].url or "", None
        except Exception as error:
            text, raised = "", error
    return log[0], text, raised


async def draw(route: Route) -> Any:
    return await route.aimage(PROMPT)


# Of litellm's own making; raised as an error it costs litellm its usage chunk.
@pytest.mark.filterwarnings("ignore:.*attribute on the instance is deprecated")
@pytest.mark.parametrize(("entry", "mode", "via"), CASES)
def test_the_fault_is_told_for_what_it_is(
    server: CorpusServer, entry: Any, mode: str, via: str | None
) -> None:
    expected, run = entry["expected_class"], f"run{next(RUNS)}"
    gathered = mode == "gathered"
    if gathered:
        expected = TOLD_IN_A_STREAM.get(entry["id"], expected)
    policy = Policy() if gathered else PLAIN
    route = route_to(entry, server.base(entry, run), via, policy)
    receipt, text, raised = ask(route, mode)
    tries = [a for a in receipt.attempts if a.target == "t"] if receipt else []
    if receipt is None:  # raised before an answer could carry it
        receipt, text, raised, tries = again_with_receipt(entry, server, run, mode, via, policy)
    reached = (entry.get("transport") or {}).get("kind") not in ("refused", "dns", "tls")
    plainly = gathered and entry["id"] in REFUSES_STREAMS
    told = f"hidden retries: {tries}"
    assert server.requests[run] == (len(tries) + plainly if reached else 0), told
    if expected in FINE:
        check_fine(entry, expected, text, raised, tries)
        return
    assert tries, "the target was asked"
    assert {str(each.fault) for each in tries} == {expected}, tries[0].evidence
    check_outcome(entry, Fault(expected), route, text, raised, tries)
    check_retry_after(entry, tries[-1])


def again_with_receipt(
    entry: Any, server: CorpusServer, run: str, mode: str, via: str | None, policy: Policy
) -> tuple[Any, str, Any, Any]:
    server.requests[run] = 0
    with receipts() as log:
        _, text, raised = ask(route_to(entry, server.base(entry, run), via, policy), mode)
    return log[0], text, raised, [a for a in log[0].attempts if a.target == "t"]


def check_fine(entry: Any, expected: str, text: str, raised: Any, tries: Any) -> None:
    assert raised is None
    assert [each.fault for each in tries] == [None]
    said = "".join((entry.get("stream") or {}).get("texts", []))
    assert text in (said, "Hello world", "ok", "aGVsbG8="), text
    flagged = "model_substituted" in tries[0].flags
    assert flagged == (expected == "model_substituted")


def check_outcome(
    entry: Any, fault: Fault, route: Route, text: str, raised: Any, tries: Any
) -> None:
    rule = RULES[fault]
    if isinstance(raised, StreamInterrupted):
        shown = "".join(entry["stream"]["texts"])
        assert shown, "nothing was shown, so it should have failed over unseen"
        assert raised.partial_text == text == shown[: len(text)]
        assert raised.fault == fault
        assert len(tries) == 1
    elif rule.elsewhere in (Elsewhere.YES, Elsewhere.LOCAL, Elsewhere.LARGER):
        assert raised is None
        assert text == BACKUP
        assert len(tries) == 1 + rule.retried
    else:
        assert raised is not None
        assert not isinstance(raised, AllTargetsFailed)
        assert text == ""
        if rule.elsewhere is Elsewhere.NO:
            assert not isinstance(raised, PilotlightError), "the provider's own exception"
    check_breaker(fault, route, len(tries))


def check_breaker(fault: Fault, route: Route, tries: int) -> None:
    breaker = route.targets[0].health.breaker
    effect = RULES[fault].breaker
    if effect is Effect.OPENS:
        # A wait of milliseconds may be over by now; then the next call is a trial.
        assert breaker.current_state in ("open", "half-open")
        assert breaker.reason == fault
        return
    assert breaker.current_state == "closed"
    assert breaker.state.window.failures == (tries if effect is Effect.COUNTS else 0)


def check_retry_after(entry: Any, attempt: Any) -> None:
    headers = entry["headers"]
    if "retry-after" in headers:  # where there is one in milliseconds too, it is no longer
        assert attempt.retry_after == pytest.approx(float(headers["retry-after"]))
    elif "retryDelay" in json.dumps(entry.get("body")) and attempt.fault == "rate_limited":
        assert attempt.retry_after is not None
    if attempt.retry_after is not None:
        assert 0 <= attempt.retry_after <= 3600


def test_every_argued_exception_is_in_the_corpus() -> None:
    known = {(entry["id"], mode) for entry in CORPUS for mode in entry["modes"]}
    assert set(ARGUED) <= known
