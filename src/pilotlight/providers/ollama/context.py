"""Ollama's context: how many tokens a call asks for, and whether its prompt was read whole.

A server that honours `truncate: false` refuses a prompt that is too long.  An older
one drops messages from the front, or the middle of the last, and says nothing: only
`prompt_eval_count` betrays it.  A prompt counts as cut when both hold:

1. The server read fewer tokens than the prompt has words.  No tokenizer puts two
   words into one token, so it has not read them all ...
2. ... unless it had read some before: old servers leave a cached beginning out of
   the count.  So the prompt must also be too long for the context by a measure
   that favours it: a tenth more tokens than words (English: a third more), or
   four a token without the spaces (English 3.7, code 3).

Either alone would be wrong now and then; together they have no false alarm, and
miss a cut of less than about a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotlight.core.provider import Call
from pilotlight.core.requirements import PromptSize, estimate, shown
from pilotlight.errors import PromptTruncated

_TOKENS_A_WORD: Final = 1.1
_SOLID_A_TOKEN: Final = 4  # characters that are no spaces


def asked_context(usual: int, own: Mapping[str, Any], options: Mapping[str, Any]) -> int | None:
    """Return the `num_ctx` that is sent; None where the call wants its prompt cut to fit.

    `usual` is the target's, `own` its options and `options` those of the call.
    """
    if not own and not options:
        return usual
    context: Any = usual
    given: dict[str, Any] = {**own, **options}
    layers: list[Mapping[str, Any]] = [given]
    for name in ("extra_body", "options"):  # each wins over the one before
        if isinstance(inner := layers[-1].get(name, given.get(name)), Mapping):
            layers.append(inner)
    if any(layer.get("truncate") for layer in layers):
        return None
    for layer in layers:
        context = layer.get("num_ctx") or context
    return context if isinstance(context, int) else None


def cut(call: Call, context: int | None, target: str, read: int | None) -> PromptTruncated | None:
    """Return the error of a prompt that the server has read in part only."""
    if not read or context is None:
        return None
    prompt_size = PromptSize(call.messages)
    if prompt_size.characters <= context or prompt_size.least <= read:
        return None
    solid = sum(len("".join(text.split())) for text in shown(call.messages))
    if max(prompt_size.least * _TOKENS_A_WORD, solid / _SOLID_A_TOKEN) <= context:
        return None
    return PromptTruncated(target, read, estimate(call.messages, call.options))
