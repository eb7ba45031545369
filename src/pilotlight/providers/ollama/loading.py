"""Loading a model: the request that says nothing, and the context to load it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotlight.dialects.fields import words
from pilotlight.providers.ollama.request import Json, _flat, _present, _sampling

DEFAULT_CONTEXT: Final = 8192  # tokens; the server's own 4096 cut prompts without a word
_LOAD_TIME: Final = words(
    "num_ctx num_batch num_gpu main_gpu use_mmap num_thread draft_num_predict"
)


def default_context(training_context: int | None) -> int:
    """Return the `num_ctx` to ask for: 8192, or less where the model was trained for less.

    That is the smallest power of two from 8192 that the model allows; the server caps
    what is larger than the training context.
    """
    if training_context is None or training_context <= 0:
        return DEFAULT_CONTEXT
    return min(DEFAULT_CONTEXT, training_context)


def load_request(
    model: str,
    *,
    context: int | None = None,
    keep_alive: float | str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Json:
    """Build the body that only loads the model, as the target's calls will ask for it.

    `options` are those of the target.  What is decided at load time has to be the
    same here as there: with another value the first call would load the model again.
    """
    given = _flat(options or {})
    raw = _present(given.pop("options", {}))
    wanted = {"num_ctx": context, **_sampling(given), **raw}
    body: Json = {"model": model, "messages": [], "stream": False, "shift": False}
    body |= {name: given[name] for name in ("shift",) if name in given}
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    if kept := {n: v for n, v in wanted.items() if n in _LOAD_TIME and v is not None}:
        body["options"] = kept
    return body
