"""The table of a route."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pilotlight.config.values import Seconds, Sensitive, Table, Wait
from pilotlight.vocabulary.operations import Priority


class RouteConfig(Table):
    """An ordered list of targets and the policy of a call."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="names of targets, in the order in which they are asked"
    )
    total_timeout: Seconds | None = Field(
        default=None,
        description="seconds for a call with all its attempts, a stream's end included; "
        "not set: no limit but those of the attempts",
    )
    priority: Priority = Field(
        default="normal",
        description="the rank of its calls in the queue of a target that is full",
    )
    on_interrupt: Literal["raise", "restart"] = Field(
        default="raise",
        description="what to do when a stream breaks after its first text: raise "
        "StreamInterrupted, or start anew at the next target",
    )
    on_broken_event: Literal["interrupt", "skip"] = Field(
        default="interrupt",
        description="what to do with an event of a stream that can't be read: end the stream as "
        "broken, or leave the event out",
    )
    private: bool = Field(default=False, description="its calls go to local targets only")
    sensitive: Sensitive = Field(
        default=None,
        description="a function that decides whether a call is private, as "
        '`"package.module:function"`; not set: the one at the top of the file, if there is one',
    )
    fail_over_on: tuple[str, ...] = Field(
        default=(),
        description="faults left to policy that shall fail over: "
        "`content_blocked`, `model_substituted`",
    )
    rate_limit_wait: Wait = Field(
        default=5.0,
        description="the longest wait, in seconds, that a target may ask for, and get, when no "
        "other can answer; 0: none",
    )
    sit_out: Wait = Field(
        default=0.0,
        description="the longest wait, in seconds, for the first target to be ready again "
        "although others could answer; 0: none",
    )
    gather: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="when an unstreamed chat is streamed underneath, so that `first_token` and "
        "`between_tokens` hold: `auto`, while others could answer and the target has not just "
        "answered; see [streaming.md](streaming.md#unstreamed-calls)",
    )
