"""The user's own word on a call: whether its messages may leave the house.

`sensitive` names a function that is given a call's messages, once and before anything is
sent.  It returns False or None (nothing special), True (the call is private), or other
messages (sent in place of these, to whichever target).  It can make a call more private
and never less: what it can't say, because it raised or returned anything else, makes the
call private.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from pilotlight.core.clock import Clock
from pilotlight.diagnosis.prompt_texts import Texts
from pilotlight.errors import ConfigError, InvalidCall
from pilotlight.plain import logger
from pilotlight.privacy.residency import private

Messages = Sequence[Mapping[str, Any]]
Hook = Callable[[Messages], Any]

_log = logger("pilotlight")
_complained: set[str] = set()  # hooks whose trouble has been told


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a call; `messages` None: as they are.

    `seconds` is how long the finding took, and counts against the call's deadline.
    """

    private: bool = False
    messages: Messages | None = None
    seconds: float = 0.0
    why: str = ""  # in words for an error, never the hook's own


NOTHING: Final = Finding()


def hook_from(given: Any) -> Hook:
    """Return the function that a configuration names or holds.

    Raises ConfigError for a string that leads to none, and for a function that can't be
    asked in all four call shapes.
    """
    hook = _imported(given) if isinstance(given, str) else given
    if not callable(hook):
        kind = type(hook).__name__
        raise ConfigError(
            f'names a {kind}; it should name a function, as "package.module:function"'
        )
    colour = hook if inspect.isroutine(hook) else type(hook).__call__
    if inspect.iscoroutinefunction(colour) or inspect.isasyncgenfunction(colour):
        raise ConfigError(
            "is an async function, and sync calls have to ask it too: make it a plain `def`"
        )
    return hook  # type: ignore[no-any-return]


def _imported(named: str) -> Any:
    module, colon, path = named.strip().partition(":")
    if not (module and colon and path):
        raise ConfigError('should name a function, as "package.module:function"')
    try:
        found: Any = import_module(module)
    except ConfigError:  # a module of ours that says itself what is missing
        raise
    except Exception as error:
        raise ConfigError(
            f"can't import {module} ({type(error).__name__}: {error}); is it installed, or its "
            "folder in PYTHONPATH?"
        ) from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise ConfigError(
                f"{module} has no {path!r}; write the function's name after the colon"
            )
        found = getattr(found, name)
    return found


def sense(hook: Hook, messages: Messages, check: Callable[[Any], None], clock: Clock) -> Finding:
    """Ask a hook about these messages; never raises.

    `check` raises InvalidCall for what is no list of messages.  Whatever the hook asks by
    pilotlight meanwhile is private itself.
    """
    began = clock()
    try:
        with private():
            said = hook(messages)
    except Exception as error:  # its words may quote the messages: only the type is told
        return unknown(hook, f"raised {type(error).__name__}", clock() - began)
    if said is None or said is False:
        return Finding(seconds=clock() - began)
    if said is True:
        return Finding(True, None, clock() - began, "`sensitive` said so")
    try:
        check(said)
    except InvalidCall:
        if inspect.iscoroutine(said):
            said.close()  # nobody will await it
        trouble = f"returned a {type(said).__name__} that is no answer"
        return unknown(hook, trouble, clock() - began)
    return Finding(False, said, clock() - began)


def sense_arguments(
    hook: Hook, bound: inspect.BoundArguments, check: Callable[[Any], None], clock: Clock
) -> Finding:
    """Ask a hook about the arguments of a function, which may send any of them.

    It is given the argument named `messages`, and other messages are put in its place;
    else the texts among the arguments, each as a message.  Without any text, and where
    other messages can't be put back, nothing is known: private.
    """
    if _are_messages(bound.arguments.get("messages"), check):
        finding = sense(hook, bound.arguments["messages"], check, clock)
        if finding.messages is not None:
            bound.arguments["messages"] = finding.messages
        return finding
    texts = Texts(tuple(bound.arguments.values()))
    if not texts:
        return unknown(hook, "was not asked: there is no text among a function's arguments")
    found = sense(hook, [{"role": "user", "content": text} for text in texts], check, clock)
    if found.messages is None:
        return found
    trouble = "returned messages for a function that has no argument `messages`"
    return unknown(hook, trouble, found.seconds)


def _are_messages(given: Any, check: Callable[[Any], None]) -> bool:
    try:
        check(given)
    except InvalidCall:
        return False
    return True


def unknown(hook: Hook, trouble: str, seconds: float = 0.0) -> Finding:
    """Return the finding where nothing was found out: private.  Said in the log once a hook."""
    name = f"{hook.__module__}:{getattr(hook, '__qualname__', type(hook).__name__)}"
    if name not in _complained:
        _complained.add(name)
        _log.warning("`sensitive` %s %s; its calls are private until it answers", name, trouble)
    return Finding(True, None, seconds, f"`sensitive` {trouble}")
