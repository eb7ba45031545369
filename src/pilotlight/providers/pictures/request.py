"""A picture as two APIs want it, and what comes back in OpenAI's shape: pure functions.

OpenAI's `POST /images/generations` (stable-diffusion.cpp's server, LocalAI), and AUTOMATIC1111's
`POST /sdapi/v1/txt2img`.  Sources: OpenAI's API reference, images; the web UI's own `/docs`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from pilotlight.errors import InvalidCall
from pilotlight.wire.field_types import list_in

Json = dict[str, Any]

# Of OpenAI's options, those of which a Stable Diffusion web UI knows nothing.
LOST: Final = frozenset(
    ("background", "moderation", "output_compression", "output_format", "quality", "style", "user")
)
_SIZE: Final = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")


def by_openai(model: str, prompt: str, options: Mapping[str, Any]) -> Json:
    """Return the body of `/images/generations`; what OpenAI does not know is sent as it is."""
    return {**_given(options), "model": model, "prompt": prompt}


def by_txt2img(model: str, prompt: str, options: Mapping[str, Any]) -> tuple[Json, tuple[str, ...]]:
    """Return the body of `/sdapi/v1/txt2img`, and which options it could not carry.

    `size` and `n` are translated; `negative_prompt`, `steps`, `cfg_scale`, `seed` and what else the
    server knows is sent as it is.  The model is loaded if it is not the one in memory, and stays.
    Raises InvalidCall for a size that is none, and for pictures at an address: it has none.
    """
    given = _given(options)
    lost = tuple(sorted(LOST & given.keys()))
    body: Json = {name: value for name, value in given.items() if name not in LOST}
    if body.pop("response_format", "b64_json") != "b64_json":
        raise InvalidCall('response_format: this server gives pictures as "b64_json" alone')
    size = body.pop("size", None)
    if size not in (None, "auto"):
        if not isinstance(size, str) or (found := _SIZE.fullmatch(size)) is None:
            raise InvalidCall('size: it should be like "1024x768"')
        body |= {"width": int(found[1]), "height": int(found[2])}
    if (count := body.pop("n", None)) is not None:
        body["batch_size"] = count
    own = body.get("override_settings") or {}
    body["override_settings"] = {"sd_model_checkpoint": model, **own}
    body["override_settings_restore_afterwards"] = False
    return {**body, "prompt": prompt}, lost


def of_txt2img(said: Json) -> Json:
    """Return an answer of `/sdapi/v1/txt2img` in OpenAI's shape."""
    pictures = [each for each in list_in(said, "images") if isinstance(each, str) and each]
    return {"created": int(time.time()), "data": [{"b64_json": each} for each in pictures]}


def no_stream() -> NoReturn:
    """Pictures are not streamed."""
    raise InvalidCall("pictures are not streamed")


def _given(options: Mapping[str, Any]) -> Json:
    given = {name: value for name, value in options.items() if value is not None}
    extra = given.pop("extra_body", None)
    return {**given, **(extra if isinstance(extra, Mapping) else {})}
