"""The machine behind the Ollama dialect: what it has, what it lets in, its side endpoints.

Owns Ollama's rules about models: missing, cloud, capabilities, context, loading, slots.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from .answers import THINKING, Answer, Ask
from .book import Armed
from .dialects.base import Refused, dumps
from .dialects.ollama import done_only, read_body, timestamp
from .dialects.ollama_openai import openai_error
from .http import Json, Reply, Request
from .models import (
    CLOUD_HOST,
    LocalModel,
    Machine,
    QueueFull,
    display_name,
    is_cloud_name,
)
from .ollama_rules import check_capabilities, fit, keep_alive_of, setup_of
from .runner import Setup
from .wording import ollama as wording

NAME = re.compile(r"[\w.:/-]+")
MODIFIED = "2026-11-01T08:00:00Z"


@dataclass(frozen=True, slots=True)
class Progress:
    """A side request that is answered by a stream of lines."""

    lines: tuple[bytes, ...]
    seconds: float  # in all
    note: Callable[[int], None] = lambda sent: None  # called with the number of lines sent so far


@dataclass(frozen=True, slots=True)
class OllamaHost:
    """One named Ollama under the faults that stand while a request is served."""

    machine: Machine
    standing: Sequence[Armed] = ()
    cloud_disabled: bool = False
    registry: frozenset[str] | None = None  # what can be pulled; None: anything
    pull_seconds: float = 0.0

    @asynccontextmanager
    async def admitted(self, ask: Ask, answer: Answer) -> AsyncIterator[Answer]:
        """Check a model request, load its model, hold a slot; yield the answer to be given."""
        keep_alive = keep_alive_of(None if ask.openai else ask.body.get("keep_alive"))
        if is_cloud_name(ask.model):
            self._check_cloud()
            yield dataclasses.replace(answer, extra=_remote(CLOUD_HOST, ask.model))
            return
        model = self._find(ask)
        if model.remote_host:
            self._check_cloud()
            extra = _remote(model.remote_host, model.remote_model or model.display)
            yield dataclasses.replace(answer, extra=extra)
            return
        check_capabilities(ask, model)
        if not model.knows("call_id"):
            calls = tuple(dataclasses.replace(call, id="") for call in answer.calls)
            answer = dataclasses.replace(answer, calls=calls)
        setup = setup_of(ask, model)
        if not ask.messages and keep_alive == 0:
            self.machine.runner(model).loaded = False
            raise Refused(Reply(done_only(ask, "unload"), 200, wording.JSON_HEADERS))
        took = await self._load(ask, model, setup)
        prompt = fit(ask, model, setup.num_ctx)
        if not ask.messages and ask.variant in ("chat", "generate"):
            self.machine.runner(model).touch(keep_alive)
            raise Refused(Reply(done_only(ask, "load"), 200, wording.JSON_HEADERS))
        thinks = "thinking" in model.capabilities and ask.body.get("think") is not False
        async with self.machine.slot(model, keep_alive):
            yield dataclasses.replace(
                answer,
                prompt_tokens=prompt,
                load_seconds=took,
                thinking=THINKING if thinks else "",
            )

    def _check_cloud(self) -> None:
        if self.cloud_disabled:
            raise Refused(wording.error(403, wording.CLOUD_DISABLED))

    def _find(self, ask: Ask) -> LocalModel:
        if ask.model and not NAME.fullmatch(ask.model):
            raise Refused(wording.error(400, "invalid model name"))
        model = self._look_up(ask.model)
        if model is None:
            raise Refused(wording.not_found(ask))
        return model

    def _look_up(self, name: str) -> LocalModel | None:
        local_only = name.lower().endswith(":local")
        name = name[: -len(":local")] if local_only else name
        model = self.machine.view(self.standing).get(display_name(name).lower())
        return None if model and model.remote_host and local_only else model

    async def _load(self, ask: Ask, model: LocalModel, setup: Setup) -> float:
        try:
            return await self.machine.load(model, self.standing, setup)
        except QueueFull:
            raise Refused(wording.error(503, wording.BUSY)) from None

    def side(self, request: Request, path: str) -> Reply | Progress:
        """Answer what is not a model request."""
        match path:
            case "/":
                return Reply("Ollama is running")
            case "/api/version":
                return _json({"version": self.machine.version})
            case "/api/status":
                if not self.machine.knows("status"):
                    return Reply("404 page not found", 404)
                source = "env" if self.cloud_disabled else "none"
                return _json({"cloud": {"disabled": self.cloud_disabled, "source": source}})
            case "/api/tags":
                models = self.machine.view(self.standing).values()
                return _json({"models": [_tag(model) for model in models]})
            case "/api/ps":
                return _json({"models": self._running()})
            case "/v1/models":
                models = self.machine.view(self.standing).values()
                return Reply({"object": "list", "data": [_openai(m) for m in models] or None})
        if path.startswith("/v1/models/"):
            return self._openai_model(path.removeprefix("/v1/models/"))
        body = read_body(request)
        name = str(body.get("model") or body.get("name") or "")
        match path:
            case "/api/show":
                return self._show(name)
            case "/api/pull":
                return self._pull(name, stream=bool(body.get("stream", True)))
            case "/api/delete":
                return self._delete(name)
        return Reply("404 page not found", 404)

    def _running(self) -> list[Json]:
        running = []
        for model in self.machine.view(self.standing).values():
            if model.remote_host or not self.machine.is_warm(model, self.standing):
                continue
            runner = self.machine.runner(model)
            vram = model.size if model.size_vram is None else model.size_vram
            ps_context = model.knows("effective_context")
            running.append(
                {
                    **{k: v for k, v in _tag(model).items() if k in PS_FIELDS},
                    "expires_at": timestamp(runner.expires),
                    "size_vram": vram,
                }
                | ({"context_length": runner.setup.num_ctx} if ps_context else {})
            )
        return sorted(running, key=lambda each: str(each["expires_at"]), reverse=True)

    def _show(self, name: str) -> Reply:
        if not name:
            return wording.error(400, "model is required")
        model = self._look_up(name)
        if model is None:
            return wording.error(404, f"model '{display_name(name)}' not found")
        able = {"capabilities": list(model.capabilities)} if model.knows("capabilities") else {}
        return _json(
            {
                "modelfile": f"FROM {model.display}\n",
                "parameters": 'stop                           "<|eot_id|>"\n',
                "template": "{{ .Prompt }}",
                "details": _details(model),
                **_remote(model.remote_host, model.remote_model),
                "model_info": {
                    "general.architecture": model.family,
                    "general.parameter_count": 3212749888,
                    f"{model.family}.context_length": model.context_length,
                    f"{model.family}.embedding_length": model.embedding_length,
                },
                **able,
                "modified_at": MODIFIED,
            }
        )

    def _openai_model(self, name: str) -> Reply:
        model = self._look_up(name)
        if model is None:
            return openai_error(wording.error(404, f"model '{display_name(name)}' not found"))
        return Reply(_openai(model))

    def _pull(self, name: str, *, stream: bool) -> Reply | Progress:
        statuses: list[Json] = [{"status": "pulling manifest"}]
        if self.registry is not None and display_name(name).lower() not in self.registry:
            error = "pull model manifest: file does not exist"
            if not stream:
                return wording.error(500, error)
            return Progress((_line(statuses[0]), _line({"error": error})), 0.0)
        if not stream:
            self.machine.pull(name)
            return _json({"status": "success"})
        model, key = LocalModel(name), display_name(name).lower()
        had = self.machine.partial.get(key, 0)  # quarters that an earlier pull has fetched
        digest = _digest(model)
        part: Json = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}"}
        part["total"] = model.size
        quarters = range(had, 5)
        done = [{"completed": model.size * quarter // 4} if quarter else {} for quarter in quarters]
        statuses += [{**part, **each} for each in done]
        statuses += [
            {"status": text} for text in ("verifying sha256 digest", "writing manifest", "success")
        ]

        def note(sent: int) -> None:
            if sent == len(statuses):  # there only now: a pull that breaks off leaves no model
                self.machine.pull(name)
            elif sent > 1:
                self.machine.partial[key] = min(4, had + sent - 2)

        return Progress(tuple(_line(each) for each in statuses), self.pull_seconds, note)

    def _delete(self, name: str) -> Reply:
        if self._look_up(name) is None:
            return wording.error(404, f"model '{name}' not found")
        self.machine.delete(name)
        return Reply("", 200)


PS_FIELDS = ("name", "model", "size", "digest", "details")


def _json(body: Json) -> Reply:
    return Reply(body, 200, wording.JSON_HEADERS)


def _line(body: Json) -> bytes:
    return f"{dumps(body)}\n".encode()


def _remote(host: str | None, model: str | None) -> Json:
    return {"remote_model": model, "remote_host": host} if host else {}


def _digest(model: LocalModel) -> str:
    return hashlib.sha256(model.display.encode()).hexdigest()


def _details(model: LocalModel) -> Json:
    return {
        "parent_model": "",
        "format": "" if model.remote_host else "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def _openai(model: LocalModel) -> Json:
    created = int(datetime.fromisoformat(MODIFIED).timestamp())
    return {"id": model.display, "object": "model", "created": created, "owned_by": "library"}


def _tag(model: LocalModel) -> Json:
    more: Json = {}
    details = _details(model)
    if model.knows("capabilities_in_tags"):
        details["context_length"] = model.context_length
        details["embedding_length"] = model.embedding_length
        more["capabilities"] = list(model.capabilities)
    return {
        "name": model.display,
        "model": model.display,
        **_remote(model.remote_host, model.remote_model),
        "modified_at": MODIFIED,
        "size": 384 if model.remote_host else model.size,
        "digest": _digest(model),
        "details": details,
        **more,
    }
