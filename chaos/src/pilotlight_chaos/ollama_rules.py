"""What a request asks of a local model: abilities, the way it is loaded, room for the prompt."""

from __future__ import annotations

import re

from .answers import Ask
from .dialects.base import Refused, obj, whole_number
from .models import FOREVER, LocalModel, full_name
from .runner import Setup
from .wording import ollama as wording

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
# Decided at load time beside num_ctx, num_gpu and shift; with the value of who does not ask.
OTHERS = {"num_batch": None, "main_gpu": 0, "use_mmap": None, "num_thread": 0,
          "draft_num_predict": 0}  # fmt: skip
WHOLE = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_predict", "seed")


def check_capabilities(ask: Ask, model: LocalModel) -> None:
    """Refuse what the model can't do."""
    able = model.capabilities
    if ask.variant in ("chat", "generate") and "completion" not in able:
        raise Refused(wording.error(400, f'"{ask.model}" does not support {ask.variant}'))
    if ask.tools and "tools" not in able:
        raise Refused(wording.error(400, f"{full_name(ask.model)} does not support tools"))
    if ask.body.get("think") not in (None, False) and "thinking" not in able:
        raise Refused(wording.error(400, f'"{ask.model}" does not support thinking'))


def setup_of(ask: Ask, model: LocalModel) -> Setup:
    """Return how the request wants the model to be loaded; `/v1` can say nothing of it."""
    options = {} if ask.openai else obj(ask.body.get("options"))
    for name in WHOLE:
        value = options.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Refused(wording.error(500, f'option "{name}" must be of type integer'))
    asked = whole_number(options.get("num_ctx"))
    shift = ask.body.get("shift", True) is not False or not model.knows("truncate")
    return Setup(
        min(asked or model.num_ctx, model.context_length),
        bool(asked),
        shift or ask.openai,
        whole_number(options.get("num_gpu")),
        tuple(options.get(name, usual) for name, usual in OTHERS.items()),
    )


def fit(ask: Ask, model: LocalModel, num_ctx: int) -> int:
    """Return how much of the prompt is read.

    Whole messages are dropped from the front, without a word, but never the system's nor the
    last; where these are too long already, all but about half a context is cut out of them.
    """
    one_by_one = ask.variant == "embed"  # each text has the context to itself
    longest = max((each.tokens for each in ask.messages), default=0)
    if (longest if one_by_one else ask.prompt_tokens) <= num_ctx:
        return ask.prompt_tokens
    knows = model.knows("truncate")
    if ask.body.get("truncate", True) is False and knows:
        raise Refused(wording.too_long(ask, num_ctx))
    kept = list(ask.messages)
    for message in ask.messages[:-1]:
        if sum(each.tokens for each in kept) > num_ctx and message.role != "system":
            kept.remove(message)
    left = sum(each.tokens for each in kept)
    if left <= num_ctx:
        return left
    if model.native and ask.variant == "chat":
        raise Refused(wording.too_long(ask, num_ctx))
    if ask.body.get("shift", True) is False and knows:
        raise Refused(wording.error(400, wording.TOO_LONG))
    return num_ctx // 2


def keep_alive_of(value: object) -> float | None:
    """Read keep_alive: seconds as a number, or a Go duration; negative means forever."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return FOREVER if value < 0 else float(value)
    text = str(value)
    parts = re.findall(r"([\d.]+)(ns|us|ms|s|m|h)", text)
    if re.fullmatch(r"-?[\d.]+", text):
        raise Refused(wording.error(400, f'time: missing unit in duration "{text}"'))
    if not parts:
        raise Refused(wording.error(400, f'time: invalid duration "{text}"'))
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    return FOREVER if text.startswith("-") else seconds
