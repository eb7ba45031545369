"""Judging what looks like a success: an answer must be there, and be whole.

litellm turns login pages, broken streams and filtered answers into an empty text
with `finish_reason="stop"`, so the wire is asked first and the answer second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pilotlight.diagnosis.error_body import Said, is_broken_json, is_garbled, read_body
from pilotlight.diagnosis.evidence import evidence, scrub
from pilotlight.diagnosis.verdict import Reply, Verdict, fault_of, reply_of, verdict_of
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Tap, Wire

# Their streams have no end mark that is known, so a proper HTTP end has to do.
_NO_END_MARK: Final[frozenset[Wire]] = frozenset({"stability", "other"})
# Why a stream broke off after its first content, where it is told.
NAMED_IN_STREAM: Final = frozenset(
    {Fault.CONTENT_BLOCKED, Fault.LOCAL_RUNNER_CRASHED, Fault.LOCAL_OVERLOADED}
)
_SSE_WIRES: Final[frozenset[Wire]] = frozenset({"openai", "anthropic", "gemini", "cohere"})

BLOCKED: Final = re.compile(
    r"content_?filter(?:ed)?|.*content_filter.*|refusal|safety|recitation|prohibited_content"
    r"|blocklist|spii|language|image_(?:safety|recitation|prohibited_content|other)|model_armor"
    r"|guardrail_intervened|content_blocked|moderation|sensitive|blocked|jailbreak",
    re.IGNORECASE,
)
CUT: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_REASON: Final = re.compile(
    rb'(?<!\\)"(?:finish_?reason|stop_?reason|block_?reason)"\s*:\s*"([A-Za-z_]{3,40})"',
    re.IGNORECASE,
)
_REFUSAL: Final = re.compile(rb'(?<!\\)"refusal"\s*:\s*"[^"]')
_ANSWER: Final = re.compile(rb'"(?:choices|candidates|content|done|output|embeddings?)"\s*:')
_TROUBLE: Final = re.compile(rb'"(?:errors?|detail)"|"message"\s*:\s*"')
_DONE: Final = re.compile(rb'(?<!\\)"done"\s*:\s*false')
_EVENTS: Final = re.compile(rb"data: ?\{.*\ndata: ?\[DONE\]\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What a reader would see of an answer, whatever library it came through.

    `other_content` is content that is neither text nor a tool call: reasoning,
    audio, an image, a refusal in words.
    """

    choices: int
    text: str | None = None
    tool_calls: bool = False
    finish_reason: str | None = None
    model_asked: str | None = None
    model_answered: str | None = None
    other_content: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to give to a user."""
        has_text = bool(self.text and self.text.strip())
        return self.choices < 1 or not (has_text or self.tool_calls or self.other_content)


def judge(
    tap: Tap, answer: AnswerView, *, prompt_texts: Sequence[str] | None = None
) -> Verdict | None:
    """Return what is wrong with an answer that came back as a success; None if nothing is.

    An answer of another model than was asked is good here: what that means is the
    route's policy, and `substituted` tells it.
    """
    if tap.requests:
        verdict = judge_wire(tap, prompt_texts)
        if verdict is not None:
            return verdict
    said = (answer.finish_reason or "").strip()
    if BLOCKED.fullmatch(said) or (answer.empty and _blocked_on_wire(tap)):
        return _verdict(tap, Fault.CONTENT_BLOCKED, f"finish reason {said or 'of a filter'}")
    if said.lower() == "error":  # OpenRouter's word for an upstream that broke off
        whole = tap.streaming and not answer.empty
        fault = Fault.STREAM_INTERRUPTED if whole else Fault.MALFORMED_RESPONSE
        return _verdict(tap, fault, "finish reason error")
    if answer.empty:
        return _verdict(tap, Fault.EMPTY_RESPONSE, _why_empty(answer, said))
    return None


def _why_empty(answer: AnswerView, finish: str) -> str:
    """Say what is missing.

    An answer that reasoned until `max_tokens` ended it has content and never comes
    here: the caller's limit cut it, and another provider would be cut as well.
    """
    if answer.choices < 1:
        return "no choices"
    cut = " (cut by a token limit before the first word)" if finish.lower() in CUT else ""
    return f"no text and no tool call, finish reason {finish or 'none'}{cut}"


def judge_wire(tap: Tap, prompt_texts: Sequence[str] | None = None) -> Verdict | None:
    """Return what the bytes of a 2xx response show to be wrong; None if they look sound.

    Where the prompt is not known, a message is left out of the evidence: it may quote it.
    """
    if tap.status is not None and tap.status >= 300:
        return verdict_of(reply_of(tap.wire, tap.status, tap.head, tap.headers), prompt_texts)
    if tap.in_band_error:
        return judge_in_band(tap, prompt_texts)
    said = _suspect(tap)
    if said is not None and said.markup:
        title = "" if prompt_texts is None else f" {scrub(said.message, prompt_texts)}"
        return _verdict(tap, Fault.MALFORMED_RESPONSE, f"a page instead of an answer{title}")
    if spoilt := tap.garbled or ("" if tap.streaming and tap.terminal else tap.unfit):
        begun = tap.streaming and tap.contents
        fault = Fault.STREAM_INTERRUPTED if begun else Fault.MALFORMED_RESPONSE
        return _verdict(tap, fault, spoilt)
    if tap.streaming:
        return _judge_stream(tap)
    return _judge_body(tap, said, prompt_texts)


def _judge_body(tap: Tap, said: Said | None, prompt_texts: Sequence[str] | None) -> Verdict | None:
    """Judge a plain body; of one that is longer than what was kept, little can be told."""
    if said is not None and said.error:
        reply = Reply(tap.wire, tap.status, said)
        blocked = fault_of(reply) is Fault.CONTENT_BLOCKED  # Azure sends that under status 200
        fault = Fault.CONTENT_BLOCKED if blocked else Fault.MALFORMED_RESPONSE
        return verdict_of(reply, prompt_texts, fault=fault)
    if tap.wire == "stability" and _blocked_on_wire(tap):  # a blurred image is sent all the same
        return _verdict(tap, Fault.CONTENT_BLOCKED, "finish reason of a filter")
    whole = tap.complete and tap.received <= len(tap.head)
    if whole and tap.wire != "other" and _is_no_json(tap):
        return _verdict(tap, Fault.MALFORMED_RESPONSE, "the body is no JSON, or breaks off")
    if whole and tap.wire == "ollama" and _DONE.search(tap.head) and _not_done(tap.head):
        return _verdict(tap, Fault.STREAM_TRUNCATED, "done is false")
    return None


def _is_no_json(tap: Tap) -> bool:
    """Tell garbage from JSON, and from what is rightly none: audio and images.

    Whole events up to their end mark are a stream, whatever the header calls them.
    """
    kind = tap.headers.get("content-type", "json")
    said_json = any(mark in kind for mark in ("json", "text"))
    return said_json and is_broken_json(tap.head) and not _EVENTS.match(tap.head)


def _suspect(tap: Tap) -> Said | None:
    """Read the body only if it may be something else than an answer: reading costs time."""
    head = tap.head[:300].lstrip(b"\xef\xbb\xbf \t\r\n")
    odd = head[:1] == b"<" or "html" in tap.headers.get("content-type", "")
    if not odd and (tap.streaming or (_ANSWER.search(head) and not _TROUBLE.search(head))):
        return None
    return read_body(tap.head, tap.headers.get("content-type", ""))


def _not_done(head: bytes) -> bool:
    """Believe `"done":false` only at the top: a tool call's arguments may hold one."""
    try:
        data = json.loads(head)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("done") is False


def judge_in_band(tap: Tap, prompt_texts: Sequence[str] | None = None) -> Verdict:
    """Diagnose an error that stood in a stream under status 200.

    Before the first content it is what it says it is; after it, what counts is that
    the answer broke off, unless it says why: a filter, or a local server's own crash.
    """
    reply = reply_of(tap.wire, None, tap.in_band_error, {})
    fault = fault_of(reply)
    if fault in NAMED_IN_STREAM:
        pass
    elif tap.contents:
        fault = Fault.STREAM_INTERRUPTED
    elif fault is Fault.UNKNOWN or _is_made_up(tap, reply):
        fault = Fault.MALFORMED_RESPONSE
    reply = Reply(tap.wire, tap.status, reply.said, {}, reply.raw)
    return verdict_of(reply, prompt_texts, fault=fault)


def _is_made_up(tap: Tap, reply: Reply) -> bool:
    """Tell an error object in the place of a stream from a dialect's own error event.

    The dialects' events carry a code, a type or a status.  A bare sentence, or an error
    sent as plain JSON under status 200, is some gateway's doing: too little to open a
    breaker on.
    """
    if tap.wire not in _SSE_WIRES:
        return False  # Ollama's errors are bare sentences
    plain_json = tap.headers.get("content-type", "").startswith("application/json")
    return plain_json or not (reply.said.codes or reply.status)


def _judge_stream(tap: Tap) -> Verdict | None:
    if tap.terminal:
        return None  # nothing said after it matters; if it was empty, the answer is
    ended = tap.complete or _said_done(tap)
    if ended and not tap.contents:
        return _verdict(tap, Fault.EMPTY_RESPONSE, "the stream ended without any content")
    if not ended:
        return _verdict(tap, Fault.STREAM_INTERRUPTED, "the stream broke off")
    if tap.received <= len(tap.head) and is_garbled(tap.head):
        return _verdict(tap, Fault.STREAM_INTERRUPTED, "an event of the stream was broken")
    if tap.wire in _NO_END_MARK:
        return None
    return _verdict(tap, Fault.STREAM_TRUNCATED, "the stream ended without its end mark")


def _said_done(tap: Tap) -> bool:
    """Tell whether the server had finished, even if the SDK did not wait for HTTP's own end.

    `[DONE]` without a finish reason is no end mark, but it is no interruption either.
    """
    return tap.received <= len(tap.head) and tap.head.rstrip().endswith(b"data: [DONE]")


def _blocked_on_wire(tap: Tap) -> bool:
    """Look for a filter's reason, or a refusal, that a library has translated away."""
    reasons = (word.decode() for word in _REASON.findall(tap.head))
    return any(map(BLOCKED.fullmatch, reasons)) or _REFUSAL.search(tap.head) is not None


def blocked_answer(tap: Tap) -> bool:
    """Tell whether a success that some library raised an error over was a filter's."""
    return tap.requests > 0 and (tap.status or 0) < 300 and _blocked_on_wire(tap)


def _verdict(tap: Tap, fault: Fault, what: str) -> Verdict:
    return Verdict(fault, None, tap.status, None, evidence(tap.status, None, what))
