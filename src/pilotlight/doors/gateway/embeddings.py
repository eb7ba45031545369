"""Embeddings in the dialects that have them.

Sources: the API references of OpenAI (embeddings), Google (models.embedContent and
batchEmbedContents) and Ollama (embed).
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from pilotlight.dialects.fields import objects, part, text
from pilotlight.doors.gateway.paths import DialectName
from pilotlight.errors import InvalidCall
from pilotlight.routes.answer import EmbeddingAnswer

Json = dict[str, Any]


def asked(dialect: DialectName, body: Json) -> tuple[Any, Json]:
    """Return the texts to embed and the options; raises InvalidCall."""
    if dialect == "gemini":
        return _asked_of_gemini(body)
    texts = body.get("input")
    if texts is None:
        raise InvalidCall("input: missing; give a text, or a list of texts")
    options = {name: body[name] for name in ("dimensions", "user") if body.get(name) is not None}
    return texts, options


def _asked_of_gemini(body: Json) -> tuple[Any, Json]:
    wanted = objects(body, "requests") or [body]
    texts = ["".join(text(each, "text") or "" for each in _parts(one)) for one in wanted]
    if not all(texts):
        raise InvalidCall("content.parts: give each content a text")
    size = wanted[0].get("outputDimensionality")
    return texts, {} if size is None else {"dimensions": size}


def _parts(request: Json) -> Sequence[Json]:
    return objects(part(request, "content"), "parts")


def written(dialect: DialectName, body: Json, answer: EmbeddingAnswer) -> Json:
    """Write the answer as the dialect has it."""
    vectors, model = answer.vectors, answer.receipt.served_model or answer.served_by
    tokens = answer.usage.prompt_tokens or 0
    if dialect == "gemini":
        values = [{"values": vector} for vector in vectors]
        return {"embeddings": values} if "requests" in body else {"embedding": values[0]}
    if dialect == "ollama":
        return {"model": model, "embeddings": vectors, "prompt_eval_count": tokens}
    packed = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": _packed(vector) if packed else vector,
        }
        for place, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _packed(vector: Sequence[float]) -> str:
    """Return a vector as OpenAI packs it: 32-bit floats, little end first, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
