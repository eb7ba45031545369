"""Holds the pictures of an answer against the wire."""

from __future__ import annotations

from typing import Any

from pilotlight.core.provider import Answered, Attempt, Call, Facts, Failed
from pilotlight.diagnosis.report import verdict_failure
from pilotlight.providers.replies import ImageReply, images_in, judge_images
from pilotlight.wire.tap import Tap


def judged_pictures(
    model: str, call: Call, attempt: Attempt, tap: Tap, data: dict[str, Any]
) -> Answered | Failed:
    """Return the pictures of an answer in OpenAI's shape, or why it is none."""
    images = images_in(data.get("data"))
    if (verdict := judge_images(call, tap, images)) is not None:
        return verdict_failure(attempt.target, verdict)
    facts = Facts(model, status=tap.status, own=tap.ledger.own)
    return Answered(ImageReply(images, data), facts)
