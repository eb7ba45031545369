"""What may be written down of a provider's words: short, and without secrets.

A message may quote the API key, the organisation, or the prompt itself.  The codes
are safe and come first; of the free text only the beginning is kept, without
anything that looks like a credential, without long quotations, and without any run
of characters that also stands in the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LIMIT: Final = 200
_WORDS_LIMIT: Final = 260  # of the message, before scrubbing
# Eight letters and digits in a row are rarely shared by chance ("the model is" can be, and
# is then lost, which harms nobody); fewer would eat ordinary words.
RUN: Final = 8
_SHORTEST: Final = 3  # a prompt shorter than a run is looked for as a whole, down to this
_GAP: Final = 12  # characters between two hits that go with them: escapes, an inserted word
# Comparing with longer prompts would cost more than the words are worth: leave them out.
_PROMPT_LIMIT: Final = 200_000

# Secrets that their surroundings give away.
_TOLD: Final = re.compile(
    r"""(?xi)
    \b(?:bearer|basic)\s+[\w\-.~+/=*]{6,}
    | (?<=provided:\ ) [^\s"'`]*[^\s"'`.,;]      # "Incorrect API key provided: X"
    | \b(?:organi[sz]ation|team|project|tenant|account)(?:\s+id)?[\s:]+[`'"]?
        (?=[\w\-]*\d)[\w\-]{6,}
    """
)
# Secrets that their own shape gives away: looked for in words that are not plain ones.
_WORD: Final = re.compile(r"[^\s\"'`,;()<>\[\]{}]{6,}")
_SHAPED: Final = re.compile(
    r"""(?xi)
    (?<![a-z0-9]) (?: sk|pk|rk|gsk|xai|nvapi|hf|r8|fw|pplx|csk|key|tgp|ollama|lsv2|co )
        [-_] [a-z0-9_*.\-]{4,}                   # vendors' key prefixes
    | AIza[\w\-]{10,} | ya29\.[\w\-]+ | A[KS]IA[A-Z0-9]{8,}
    | eyJ[\w\-]{8,}(?:\.[\w\-]*)*                # JSON web tokens
    | (?<=key=) [^\s&]+ | (?<=token=) [^\s&]+
    | [\w.+\-]{1,64}@[\w\-]{1,64}(?:\.[\w\-]{1,64})+
    | \b(?:org|proj|user|acct|cus|team|ws|wrkspc)[-_:][\w*\-]{3,}
    | \bprojects?/[\w\-]+ | api_key:[\w\-]+
    | \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b
    | \b(?=[\w\-]*[a-z])(?=[\w\-]*\d)[A-Za-z0-9_\-+/]{40,}={0,2}
    | \b[0-9a-f]{32,}\b
    """
)
_URL: Final = re.compile(r"https?://\S+")
# A quotation of several words is more likely the caller's text than a model's name.
_QUOTED: Final = re.compile(
    r"""(["`\u201c]) [^"`\u201d]*? [^\s"`] \s+ [^\s"`] [^"`\u201d]* (?:["`\u201d]|$)
      | (?<!\w) ' [^']*? [^\s'] \s+ [^\s'] [^']* (?:'(?!\w)|$)""",
    re.VERBOSE,
)
_CODE: Final = re.compile(r"[\w.\-:/]{1,60}", re.ASCII)
_HIDDEN: Final = "[…]"


def evidence(
    status: int | None, code: str | None, message: str, prompt_texts: Sequence[str] = ()
) -> str:
    """Return status, code and the first words of a message, scrubbed, at most `LIMIT` long."""
    parts = [] if status is None else [f"HTTP {status}"]
    if code and _CODE.fullmatch(code):
        parts.append(scrub(code))  # a name of the provider's own, whatever the prompt holds
    said = scrub(message, prompt_texts)
    head = " ".join(parts)
    whole = f"{head}: {said}" if head and said else head or said
    return whole if len(whole) <= LIMIT else whole[: LIMIT - 1].rstrip() + "…"


def scrub(text: str, prompt_texts: Sequence[str] = ()) -> str:
    """Return the first words of a text without credentials and without the prompt."""
    text = " ".join(_first_words(text).split())
    text = _QUOTED.sub(_HIDDEN, text)
    text = hide_prompt(text, prompt_texts)
    text = _URL.sub(_bare_url, text)
    text = _WORD.sub(_without_secrets, _TOLD.sub(_HIDDEN, text))
    return "".join(char if char.isprintable() else " " for char in text)


def _first_words(text: str) -> str:
    """Cut a text between two words: half a secret might not be known for one."""
    if len(text) <= _WORDS_LIMIT:
        return text
    return text[:_WORDS_LIMIT].rpartition(" ")[0]


def _without_secrets(found: re.Match[str]) -> str:
    word = found[0]
    return word if word.rstrip(".:").isalpha() else _SHAPED.sub(_HIDDEN, word)


def hide_prompt(text: str, prompt_texts: Sequence[str]) -> str:
    """Blank every run of `RUN` letters and digits that `text` shares with the prompt.

    Only letters and digits are compared, without case: a quotation may have other
    spaces, escapes or quotation marks than the original.
    """
    if not text or not prompt_texts:
        return text
    prompts = [prompt for prompt in prompt_texts if isinstance(prompt, str)]
    if sum(map(len, prompts)) > _PROMPT_LIMIT:
        return ""
    places = [index for index, char in enumerate(text) if char.isalnum()]
    plain = "".join(text[index].lower()[:1] for index in places)
    hits = [False] * len(places)
    for prompt in prompts:
        _mark(plain, _plain(prompt), hits)
    return _blanked(text, places, hits)


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _mark(plain: str, prompt: str, hits: list[bool]) -> None:
    """Mark the characters of `plain` that are also, in the same order, in `prompt`."""
    run = min(RUN, len(prompt))
    if run < _SHORTEST:
        return
    for start in range(len(plain) - run + 1):
        if plain[start : start + run] in prompt:
            hits[start : start + run] = [True] * run


def _blanked(text: str, places: list[int], hits: list[bool]) -> str:
    """Replace the marked stretches, and what little stands between two of them."""
    stretches: list[list[int]] = []
    for place, hit in zip(places, hits, strict=True):
        if not hit:
            continue
        if stretches and place - stretches[-1][1] <= _GAP:
            stretches[-1][1] = place
        else:
            stretches.append([place, place])
    for first, last in reversed(stretches):
        text = text[:first] + _HIDDEN + text[last + 1 :]
    return text


def _bare_url(found: re.Match[str]) -> str:
    """Keep the address, not its query: that is where the keys are."""
    return found[0].partition("?")[0]
