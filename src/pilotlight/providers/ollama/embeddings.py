"""Between Ollama's native POST `/api/embed` and OpenAI's shapes: pure functions, no I/O.

Facts: Ollama API docs and server source, v0.33.  `truncate` is off: the server would
otherwise cut a text that is too long, and embed its beginning without a word.  The legacy
`/api/embeddings` is not used: it takes one text, and its vectors have another length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pilotlight.providers.ollama.loading import _LOAD_TIME
from pilotlight.providers.ollama.request import Json, _flat, _present, _sampling
from pilotlight.wire.field_types import count_in

_TOP_LEVEL: Final = ("dimensions", "keep_alive", "truncate")
TOO_OLD: Final = "no /api/embed: this Ollama is older than 0.3; update it"


def embed_request(
    model: str,
    texts: Sequence[str],
    options: Mapping[str, Any],
    *,
    context: int | None = None,
    keep_alive: float | str | None = None,
) -> Json:
    """Convert a call; of `options`, those count that are about loading the model.

    `num_ctx` is `context` unless the call sets its own.  `truncate` is passed on where
    the caller sets it.
    """
    given = _flat(options)
    raw = _present(given.pop("options", {}))
    body: Json = {"model": model, "input": list(texts), "truncate": False}
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    body |= {name: given[name] for name in _TOP_LEVEL if name in given}
    own = {name: value for name, value in _sampling(given).items() if name in _LOAD_TIME}
    body["options"] = {**({} if context is None else {"num_ctx": context}), **own, **raw}
    return body


def embedding_from(said: Mapping[str, Any], *, model: str) -> Json:
    """Convert the answer to OpenAI's shape; counts that are absent mean 0."""
    vectors = said.get("embeddings")
    tokens = count_in(said, "prompt_eval_count") or 0
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": place, "embedding": vector}
            for place, vector in enumerate(vectors if isinstance(vectors, list) else ())
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def too_old(error: Exception) -> bool:
    """Tell whether a server refused because it has no such endpoint, by its web framework."""
    return getattr(error, "status_code", None) == 404 and "404 page not found" in str(error)
