"""The parts of a message's content: texts, pictures, sounds and files, however they are spelt."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from pilotlight.dialects.base import Json, Losses, Unable
from pilotlight.dialects.fields import part, text

TEXTS: Final = ("text", "input_text", "output_text")
THOUGHTS: Final = ("thinking", "redacted_thinking", "reasoning")
_KINDS: Final[Mapping[str, str]] = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "heic": "image/heic", "pdf": "application/pdf", "txt": "text/plain",
    "csv": "text/csv", "html": "text/html", "md": "text/markdown", "json": "application/json",
    "mp3": "audio/mpeg", "wav": "audio/wav", "mp4": "video/mp4", "mov": "video/quicktime",
}  # fmt: skip
_SOUNDS: Final = {"mp3": "audio/mpeg"}


@dataclass(frozen=True, slots=True)
class Medium:
    """A picture, a sound or a file: base64 here, or an address elsewhere."""

    kind: str | None  # a MIME type; None where an address does not tell
    data: str | None = None
    url: str | None = None
    name: str | None = None

    @property
    def uri(self) -> str:
        """The address, or all of it as a data: URI."""
        return self.url or f"data:{self.kind};base64,{self.data}"


def plain_of(message: Json) -> str | None:
    """Return the text of a message that says it, and has nothing else; None for any other."""
    content = message.get("content") if len(message) == 2 else None
    return content if type(content) is str else None


def parts_of(message: Json, at: str) -> list[Json]:
    """Return the parts of a message's content, a plain text as one; raises Unable."""
    content = message.get("content")
    if content is None:
        return []
    if type(content) is str:
        return [{"type": "text", "text": content}] if content else []
    if type(content) is not list:
        raise Unable(f"{at}.content is neither a text nor a list of parts")
    found: list[Json] = []
    for place, given in enumerate(content):
        if type(given) is str:
            found.append({"type": "text", "text": given})
        elif type(given) is dict and text(given, "type"):
            found.append(given)
        else:
            raise Unable(f"{at}.content[{place}] has no type")
    return found


def spoken(message: Json, at: str) -> str:
    """Return the text of a message's content; what is none is left out."""
    said = [said_in(given) for given in parts_of(message, at)]
    return "".join(each for each in said if each)


def said_in(given: Json) -> str | None:
    """Return the words of a part, or None for one that is none of words."""
    kind = given.get("type")
    if kind in TEXTS:
        return text(given, "text") or ""
    return (text(given, "refusal") or "") if kind == "refusal" else None


def medium_of(given: Json, at: str, losses: Losses) -> Medium | None:
    """Return what a part shows; None where it shows nothing that the pivot knows.

    Raises Unable for one that can't be read, or that lies at another vendor.
    """
    kind = given.get("type")
    if kind in ("image_url", "input_image"):
        shown = given.get("image_url")
        if text(shown, "detail") not in (None, "auto") or text(given, "detail") not in (
            None,
            "auto",
        ):
            losses.add("image_detail")
        return _addressed(text(shown, "url") if type(shown) is dict else shown, at, "image/png")
    if kind == "input_audio":
        sound = part(given, "input_audio")
        form = text(sound, "format") or "wav"
        return Medium(_SOUNDS.get(form, f"audio/{form}"), _base64(text(sound, "data"), at))
    if kind in ("file", "input_file"):
        return _file(part(given, "file") or given, at)
    return None


def _file(file: Json, at: str) -> Medium:
    name = text(file, "filename")
    if data := text(file, "file_data"):
        default = _kind_of(name) or "application/pdf"
        if data[:5].lower() != "data:":
            return Medium(default, _base64(data, at), name=name)
        found = _addressed(data, at, default)
        return Medium(found.kind, found.data, name=name)
    url = text(file, "file_url") or text(file, "file_id") or ""
    if "://" not in url:
        raise Unable(f"{at} names a file that lies at another vendor")
    return Medium(text(file, "format") or _kind_of(url), url=url, name=name)


def _addressed(url: Any, at: str, default: str) -> Medium:
    if type(url) is not str or not url:
        raise Unable(f"{at} has no address")
    if url[:5].lower() != "data:":
        return Medium(_kind_of(url), url=url)
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise Unable(f"{at} is no data: URI")
    kind, *flags = head.split(";")
    kind = kind.strip().lower() or default
    if "base64" in (flag.strip().lower() for flag in flags):
        return Medium(kind, _base64(data, at))
    return Medium(kind, base64.b64encode(unquote_to_bytes(data)).decode("ascii"))


def _base64(data: str | None, at: str) -> str:
    if data is None:  # an empty one is the API's to refuse, in its own words
        raise Unable(f"{at} holds no data")
    return data if data.isascii() and not any(map(str.isspace, data)) else "".join(data.split())


def _kind_of(name: str | None) -> str | None:
    try:
        path = urlsplit(name or "").path
    except ValueError:
        return None
    return _KINDS.get(path.rpartition(".")[2].lower())


def decoded(medium: Medium, at: str) -> str:
    """Return the text of a file of plain text; raises Unable where it is none."""
    try:
        return base64.b64decode(medium.data or "", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Unable(f"{at} is no base64 of a text") from None
