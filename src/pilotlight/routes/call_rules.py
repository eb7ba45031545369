"""How a call has to be made: its messages, its terms, and how the names of options are spelt.

What is against a rule is told to the caller as an InvalidCall before anybody is asked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pilotlight.errors import InvalidCall
from pilotlight.vocabulary.operations import PRIORITIES

FOREVER: Final = 1e9  # seconds; sockets and event loops can't count much further
OURS: Final = ("total_timeout", "timeout", "private", "priority")
_NEAR_OURS: Final = 0.8  # of difflib's ratio: "privat", "priorty", "dead_line"
_NEAR_THEIRS: Final = 0.9  # "temprature", "max_token"; "min_tokens" and "top_k" are farther off


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# OpenAI's parameters (API reference: chat completions, embeddings, images) and litellm's own
# of the kind that people type by hand.
_THEIRS: Final = _words(
    "temperature top_p stop max_tokens max_completion_tokens seed presence_penalty"
    " frequency_penalty logprobs top_logprobs tools tool_choice parallel_tool_calls functions"
    " function_call response_format logit_bias stream_options reasoning_effort modalities"
    " prediction service_tier verbosity extra_body extra_headers extra_query dimensions"
    " encoding_format quality background moderation output_format thinking drop_params"
)
# Real parameters of some provider or library that are spelt nearly like one of those.
# tests/doors/test_option_names.py holds this to all the names that litellm, the openai SDK,
# Ollama, llama.cpp, vLLM, SGLang, TGI and the providers' own references know.
_REAL: Final = _words("dimension log_probs logprob")
_CAMEL: Final = re.compile("[a-z][A-Z]")  # Gemini's and Bedrock's names, which go on to them
# Options with a shape of their own: a wrong one trips a library over the provider's good answer.
# A string for a number is left to the provider; some take it.
_TEXT, _MANY, _NAMED = (str, "a text"), ((list, tuple), "a list"), (Mapping, "a dict")
_KINDS: Final[Mapping[str, tuple[tuple[Any, str], ...]]] = {
    "stream_options": (_NAMED,),
    "extra_headers": (_NAMED,),
    "extra_query": (_NAMED,),
    "extra_body": (_NAMED,),
    "logit_bias": (_NAMED,),
    "metadata": (_NAMED,),
    "response_format": (_NAMED,),
    "tools": (_MANY,),
    "functions": (_MANY,),
    "stop": (_TEXT, _MANY),
    "tool_choice": (_TEXT, _NAMED),
    "dimensions": ((int, "a whole number"),),
}
_PLAIN: Final = (str, int, float, list, tuple, Mapping)  # objects of a library's are its affair
_TOOLS: Final = ("tools", "functions")
_A_TOOL: Final = '{"type": "function", "function": {"name": ..., "parameters": {...}}}'
# What a route's call has another way for.  Some would lead it away from its own targets, or
# make a good answer look like a bad one.
_ELSEWHERE: Final[Mapping[str, str]] = {
    "stream": "call stream() or astream() for a stream",
    "deadline": "total_timeout= bounds the whole call in seconds, timeout= each attempt",
    "model": "the route's targets have the models; name another route, or add a target",
    "api_base": "set targets.<name>.api_base",
    "base_url": "set targets.<name>.api_base",
    "fallbacks": "put the models behind one another in routes.<name>.targets",
}


def check_messages(messages: Any) -> None:
    """Refuse what no provider could answer; raises InvalidCall."""
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        kind = type(messages).__name__
        raise InvalidCall(
            f"messages is a {kind}; it should be a list, such as "
            '[{"role": "user", "content": "Hello"}]'
        )
    if not messages:
        raise InvalidCall('messages is empty; say something, such as {"role": "user", ...}')
    for position, message in enumerate(messages):
        if isinstance(message, str):
            mend = '{"role": "user", "content": ...}'
            raise InvalidCall(f"messages[{position}] is a str; it should be a dict: {mend}")
        if type(message) is dict or isinstance(message, Mapping):
            role = message.get("role")
        else:
            role = getattr(message, "role", None)
        if not isinstance(role, str) or not role:
            raise InvalidCall(f'messages[{position}] has no role; add "role": "user"')


def check_terms(private: Any, seconds: Any, priority: Any, timeout: Any = None) -> None:
    """Refuse terms of a wrong type; raises InvalidCall.  None stands for the route's own."""
    if private is not None and type(private) is not bool:
        raise InvalidCall(f"private is a {type(private).__name__}; it should be True or False")
    for name, given in (("total_timeout", seconds), ("timeout", timeout)):
        if given is None:
            continue
        number = isinstance(given, int | float) and type(given) is not bool
        if not (number and 0 < given <= FOREVER):
            raise InvalidCall(
                f"{name}={given!r}: a time limit is a positive number of seconds; "
                "leave it out for none"
            )
    if not (isinstance(priority, str) and priority in PRIORITIES):
        raise InvalidCall(f"priority={priority!r}: a priority is one of {', '.join(PRIORITIES)}")


def seconds_of(timeout: Any) -> Any:
    """Return the seconds of an SDK's own object for time limits: its longest, None for none.

    The openai SDK and litellm take an `httpx.Timeout` where they take a number.
    """
    if timeout is None or not hasattr(timeout, "connect"):
        return timeout
    limits = [getattr(timeout, phase, None) for phase in ("connect", "read", "write", "pool")]
    return max((limit for limit in limits if limit is not None), default=None)


def check_names(options: Iterable[str], ours: tuple[str, ...] = OURS) -> None:
    """Refuse a name that is nearly one of ours or of OpenAI's; raises InvalidCall.

    `ours` are the names that the door itself takes.  Any other unknown name is the
    provider's affair.
    """
    for name in options:
        if name in _THEIRS:
            continue
        if (mend := _ELSEWHERE.get(name)) is not None:
            raise InvalidCall(f"{name}= is no option of a call; {mend}")
        if (meant := slip(name, ours)) is not None:
            raise InvalidCall(f"unknown option {name!r}; did you mean {meant}=?")


def check_kinds(options: Mapping[str, Any]) -> None:
    """Refuse an option of another shape than it has in OpenAI's reference; raises InvalidCall."""
    for name in options:
        if (kinds := _KINDS.get(name)) is None:
            continue
        value = options[name]
        if isinstance(value, _PLAIN) and not any(isinstance(value, kind) for kind, _ in kinds):
            wanted = " or ".join(called for _, called in kinds)
            raise InvalidCall(f"{name} is a {type(value).__name__}; it should be {wanted}")
        if name in _TOOLS:
            _check_tools(name, value)


def _check_tools(name: str, tools: Any) -> None:
    """Refuse functions and classes where their descriptions are wanted; raises InvalidCall."""
    if callable(tools):
        raise InvalidCall(f"{name} is a {type(tools).__name__}; it should be a list of dicts")
    for position, tool in enumerate(tools if isinstance(tools, list | tuple) else ()):
        if isinstance(tool, str) or (callable(tool) and not hasattr(tool, "model_dump")):
            given = "a class" if isinstance(tool, type) else f"a {type(tool).__name__}"
            raise InvalidCall(f"{name}[{position}] is {given}; it should be a dict: {_A_TOOL}")


@lru_cache(maxsize=1024)
def slip(name: str, ours: tuple[str, ...] = OURS) -> str | None:
    """Return the name that was probably meant, if this one is a slip of the keyboard."""
    if name in _REAL or name in _THEIRS or len(name) > 64:
        return None
    lower = name.lower()
    if close := difflib.get_close_matches(lower, ours, n=1, cutoff=_NEAR_OURS):
        return close[0]
    theirs = () if _CAMEL.search(name) else _THEIRS
    return next(iter(difflib.get_close_matches(lower, theirs, n=1, cutoff=_NEAR_THEIRS)), None)
