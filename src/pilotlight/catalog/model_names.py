"""Comparing model names, to tell whether another model answered than was asked.

The same model goes by many names: with provider and region before it, with a
snapshot's date, a revision or `latest` after it, with dots or dashes in the
version.  Only what is certain counts: another family, version, size or tier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FAMILIES: Final[dict[str, str]] = {
    name: name
    for name in _words(
        "gpt claude gemini gemma llama mistral mixtral codestral ministral pixtral magistral "
        "devstral voxtral command deepseek qwen qwq grok phi sonar nova titan jamba kimi glm "
        "yi o codellama tinyllama granite hermes nemotron minimax dall stable sd sdxl flux "
        "moonshot ernie doubao hunyuan falcon starcoder smollm aya solar olmo whisper"
    )
} | {"chatgpt": "gpt"}
# Words that make another model of the same family and version.
_TIERS: Final = _words(
    "mini nano micro lite small medium large xl pro flash turbo opus sonnet haiku mythos "
    "ultra max plus tiny nemo coder code codex audio realtime search transcribe tts image "
    "embed embedding guard premier scout maverick reasoner research instant fast"
)
# Of these, what names a way of use: today's model for it may have a name without the word.
_MODES: Final = _words("coder code reasoner")
_DATE: Final = re.compile(
    r"(?<![0-9])(20[0-9]{2})-?([01][0-9])-?([0-3][0-9])(?![0-9])"  # 2024-08-06, 20250929
)
_SHORT_DATE: Final = re.compile(r"-([0-9]{4})(?![0-9])|-([0-3][0-9]-20[0-9]{2})(?![0-9])")
_PREVIEW_DATE: Final = re.compile(r"(?<=preview)-[0-9]{2}-[0-9]{2,4}(?![0-9])")
_REVISION: Final = re.compile(r"-0[0-9]{2}(?![0-9])")  # gemini-2.0-flash-001
_PLATFORM: Final = re.compile(
    r"-v[0-9]+:[0-9]+[a-z0-9:]*$"  # Bedrock
    r"|:(?:latest|local|free|nitro|beta|online|thinking|extended|floor|exacto|default)$"
    r"|@(?:default|latest|[0-9]+)$"
)
_VENDOR: Final = re.compile(r"^(?:us|eu|apac|ap|jp|au|ca|global|us-gov)\.|^[a-z0-9]+\.(?=[a-z])")
_TOKEN: Final = re.compile(r"[a-z]+|[0-9]+[a-z]*")


@dataclass(frozen=True, slots=True)
class _Name:
    family: str | None
    versions: tuple[str, ...]  # numbers and sizes, in order of their value
    tiers: frozenset[str]
    dates: tuple[str, ...]


def substituted(asked: str, answered: str) -> bool:
    """Tell whether surely another model answered; False when unsure.

    An alias of one's own (an Azure deployment, a gateway's route) has no family, and
    so nothing can be said of it.
    """
    if not asked or not answered or len(asked) > 300 or len(answered) > 300:
        return False
    one, other = _parsed(asked), _parsed(answered)
    if one.family is None or other.family is None:
        return False
    if one.family != other.family or _other_kind(one, other):
        return True
    # Two snapshots of one model are two models, if both names say which.
    same_form = bool(one.dates) and list(map(len, one.dates)) == list(map(len, other.dates))
    return same_form and one.dates != other.dates


def _other_kind(one: _Name, other: _Name) -> bool:
    """Tell another size or version; a name without a version is an alias of today's model."""
    if not one.versions and other.versions:
        sizes = one.tiers - _MODES
        return bool(sizes) and sizes != other.tiers - _MODES
    versions = bool(one.versions and other.versions and one.versions != other.versions)
    return versions or one.tiers != other.tiers


@lru_cache(maxsize=1024)
def _parsed(model: str) -> _Name:
    name = model.strip().lower()
    if name.startswith("ft:"):  # OpenAI: ft:gpt-4o-mini-2024-07-18:org:name:id
        name = name.split(":")[1]
    name = name.rstrip("/").rpartition("/")[2].replace("_", "-").replace(" ", "-")
    name = _PLATFORM.sub("", _VENDOR.sub("", _VENDOR.sub("", name)))
    dates = ["".join(parts) for parts in _DATE.findall(name)]
    name = _PREVIEW_DATE.sub("", _DATE.sub("", name))
    dates += [short or long for short, long in _SHORT_DATE.findall(name)]
    name = _REVISION.sub("", _SHORT_DATE.sub("", name)).replace("gpt-35", "gpt-3-5")
    parts = _TOKEN.findall(name)
    family = next((_FAMILIES[part] for part in parts if part in _FAMILIES), None)
    versions = sorted(part for part in parts if part[0].isdigit() and part != "0")
    return _Name(family, tuple(versions), frozenset(parts) & _TIERS, tuple(dates))
