"""Pictures and files as OpenAI's chat completions take them."""

from __future__ import annotations

from typing import Final

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import part, text, words
from pilotlight.dialects.parts import decoded, medium_of

MEDIA: Final = ("image_url", "file")
_FILE: Final = words("file_data file_id filename")
# Source: OpenAI's guide to images and vision.
IMAGES: Final = ("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp")


def fitted(given: Json, at: str) -> Json:
    """Return a picture or a file as OpenAI takes it: a text by its words; raises Unable."""
    medium = medium_of(given, at, Losses()) if is_told(given) else None
    if medium is None or medium.kind is None:
        return given
    if given["type"] == "image_url":
        if medium.kind.startswith("image/") and medium.kind not in IMAGES:
            raise Unable(f"{at} is {medium.kind[:40]}, which OpenAI does not take")
        return given
    if medium.url is not None:
        raise Unable(f"{at} is a file by its address, which chat completions do not take")
    if medium.kind.startswith("text/"):
        return {"type": "text", "text": decoded(medium, at)}
    if medium.kind != "application/pdf":
        raise Unable(f"{at} is {medium.kind[:40]}, which OpenAI does not take")
    return {"type": "file", "file": {n: v for n, v in given["file"].items() if n in _FILE}}


def is_told(given: Json) -> bool:
    """Tell a medium that says what it is from a picture's address, and from an uploaded file."""
    if given["type"] == "file":
        file = part(given, "file")
        return any("://" in (text(file, n) or "") for n in ("file_id", "file_url")) or bool(
            text(file, "file_data")
        )
    return (text(given.get("image_url"), "url") or "")[:5].lower() == "data:"
