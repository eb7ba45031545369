"""AUTOMATIC1111's web API: POST /sdapi/v1/txt2img, pictures alone, and the list of its models.

It breaks and refuses as a server of OpenAI's kind does, in its own shape.
Source: the interactive `/docs` of a web UI that runs with `--api`.
"""

from __future__ import annotations

import json

from ..answers import Answer, Ask, Message
from ..faults import Fault
from ..http import Json, Reply, Request
from .base import Refused, obj, whole_number
from .openai import PIXEL, OpenAI

LOADED = "sd_xl_base_1.0"  # the model in memory, where none is asked for


class Automatic1111(OpenAI):
    ending = b""

    def read(self, name: str, variant: str, model: str, request: Request) -> Ask:
        try:
            body = request.json()
        except ValueError:
            raise Refused(_unfit("body", "JSON decode error")) from None
        for side in ("width", "height"):
            if side in body and whole_number(body[side]) is None:
                raise Refused(_unfit(side, "value is not a valid integer"))
        wanted = obj(body.get("override_settings")).get("sd_model_checkpoint")
        drawn = (Message("user", str(body.get("prompt") or "")),)
        return Ask(name, self.name, str(wanted or LOADED), False, body, drawn, variant=variant)

    def whole(self, ask: Ask, answer: Answer) -> Json:
        return _pictures(ask, [PIXEL] * (whole_number(ask.body.get("batch_size")) or 1))

    def nothing(self, ask: Ask) -> Json:
        return _pictures(ask, [])

    def refusal(self, ask: Ask, fault: Fault) -> Reply:
        return self.refused(super().refusal(ask, fault))

    def refused(self, reply: Reply) -> Reply:
        told = obj(obj(reply.body).get("error"))
        if not told:
            return reply
        said = {"error": str(told.get("type")), "detail": "", "body": ""}
        return Reply({**said, "errors": str(told.get("message"))}, reply.status, reply.headers)


def models() -> Reply:
    """Return `/sdapi/v1/sd-models`."""
    return Reply([{"title": f"{LOADED}.safetensors [31e35c80fc]", "model_name": LOADED}])


def _pictures(ask: Ask, pictures: list[str]) -> Json:
    asked = {"prompt": ask.body.get("prompt"), "sd_model_name": ask.model}
    return {"images": pictures, "parameters": ask.body, "info": json.dumps(asked)}


def _unfit(place: str, why: str) -> Reply:
    """FastAPI's refusal of a body that is not as it should be."""
    return Reply({"detail": [{"loc": ["body", place], "msg": why, "type": "value_error"}]}, 422)
