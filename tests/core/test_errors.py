"""The exception tree: what it also is, what it carries, and that it travels."""

from __future__ import annotations

import math
import pickle

import pybreaker
import pytest
from kit import flow, target

from pilotlight import errors
from pilotlight.core.provider import Answered
from pilotlight.errors import (
    AllTargetsFailed,
    BudgetSpent,
    CircuitOpen,
    ConfigError,
    DeadlineExceeded,
    InvalidCall,
    MissingExtra,
    PilotlightError,
    PromptTruncated,
    ProviderFault,
    ProviderRefusal,
    PullFailed,
    StreamInterrupted,
    TargetSkipped,
    as_refusal,
)
from pilotlight.vocabulary.faults import Fault


class Unpicklable(Exception):
    """As litellm's: its constructor wants more than pickle hands it."""

    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


def receipt(clock):
    talk, recorder = flow([target("gpt", clock)], clock)
    next(talk)
    with pytest.raises(StopIteration):
        talk.send(Answered("hi"))
    return recorder.receipt()


def every_error(clock) -> list[Exception]:
    told = receipt(clock)
    return [
        PilotlightError("plain"),
        ConfigError("pilotlight.toml: targets.gpt: missing"),
        MissingExtra("the command line", "click", "cli", "pip install 'pilotlight[cli]'"),
        InvalidCall("messages is empty"),
        TargetSkipped("gpt", "saturated", 1.5, "9 waiting"),
        CircuitOpen("gpt", 12.0, "rate_limited"),
        ProviderFault(Fault.EMPTY_RESPONSE, "gpt", "no choices", 3.0),
        PromptTruncated("local", 4090, 12_000),
        AllTargetsFailed("nobody answered", [OSError("a"), CircuitOpen("b", None)], told, 4.0),
        DeadlineExceeded("too late", told),
        BudgetSpent("team", 60.0, told),
        StreamInterrupted("gpt", "stream_truncated", "Once upon", told),
        PullFailed("llama3.2:3b", "pull model manifest: file does not exist"),
        as_refusal(ProviderRefusal("no"), 400, {"request-id": "r1"}, b'{"error": "no"}'),
    ]


def test_every_error_of_the_module_is_in_this_list(clock):
    public = {
        thing for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, BaseException) and not name.startswith("_")
    }  # fmt: skip
    assert public == {type(error) for error in every_error(clock)}


def told(error: BaseException) -> object:
    """Everything that an error says of itself, comparable."""
    facts = {key: value for key, value in vars(error).items() if not key.startswith("__")}
    inner = [told(each) for each in getattr(error, "exceptions", ())]
    return type(error), str(error), facts, inner


def test_all_of_them_survive_pickling(clock):
    for error in every_error(clock):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert told(pickle.loads(pickle.dumps(error, protocol))) == told(error)


def test_a_group_travels_also_with_an_exception_that_can_not(clock):
    foreign = Unpicklable("bad gateway", response=lambda: None)
    group = AllTargetsFailed("nobody", [foreign, OSError("b")], receipt(clock), 7.0)
    there = pickle.loads(pickle.dumps(group))
    assert isinstance(there.exceptions[0], ProviderFault)
    assert "Unpicklable" in str(there.exceptions[0])
    assert str(there.exceptions[1]) == "b"
    assert (there.retry_after, there.receipt) == (7.0, group.receipt)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (CircuitOpen("gpt", 1.0), pybreaker.CircuitBreakerError),
        (CircuitOpen("gpt", 1.0), TargetSkipped),
        (AllTargetsFailed("m", [OSError()]), ExceptionGroup),
        (DeadlineExceeded("m"), TimeoutError),
        (ConfigError("m"), ValueError),
        (InvalidCall("m"), ValueError),
    ],
)
def test_is_also_what_the_field_knows(error, base):
    assert isinstance(error, base)
    assert isinstance(error, PilotlightError)


def test_except_star_splits_the_group_and_keeps_what_it_carries(clock):
    group = AllTargetsFailed("nobody", [CircuitOpen("a", 3.0), OSError("b")], receipt(clock), 3.0)
    caught = {}
    try:
        raise group
    except* pybreaker.CircuitBreakerError as skipped:
        caught["open"] = skipped
    except* OSError as failed:
        caught["failed"] = failed
    for part, kind in (("open", CircuitOpen), ("failed", OSError)):
        assert isinstance(caught[part], AllTargetsFailed)
        assert [type(each) for each in caught[part].exceptions] == [kind]
        assert caught[part].receipt is group.receipt
        assert caught[part].retry_after == 3.0


def test_a_skip_says_who_why_and_when_to_come_back():
    assert str(CircuitOpen("gpt", 12.34, "auth_failed")) == (
        "gpt: breaker_open (auth_failed), retry in 12.3 s"
    )
    assert str(TargetSkipped("gpt", "residency")) == "gpt: residency"


def test_a_break_without_end_offers_no_time():
    error = CircuitOpen("gpt", math.inf, "model_retired")
    assert error.retry_after is None
    assert str(error) == "gpt: breaker_open (model_retired)"


def test_an_interruption_does_not_print_the_text():
    error = StreamInterrupted("gpt", "stream_truncated", "Once upon")
    assert "Once" not in str(error)
    assert "9 characters" in str(error)
