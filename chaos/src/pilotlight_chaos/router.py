"""Which provider a path belongs to, and what is asked there.

Any path may stand behind `/p/<name>`, so that one process plays several providers at once.  The
rest is recognised by its end, because clients differ in what they put before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .http import Request

GEMINI = re.compile(
    r"([^/:]*):(generateContent|streamGenerateContent|embedContent|batchEmbedContents)$"
)
OLLAMA_MODEL = re.compile(r"/api/(chat|generate|embed|embeddings)$")
OLLAMA_SIDE = re.compile(r"/api/(version|status|tags|ps|show|pull|delete)$")
OPENAI_OTHERS = {
    "embeddings": "/embeddings",
    "images": "/images/generations",
    "responses": "/responses",
    "txt2img": "/sdapi/v1/txt2img",
}
PICTURES = ("txt2img", "sd-models")  # of AUTOMATIC1111's API
LISTING = re.compile(r"/models(?:/(.+))?$")
READ = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes."""

    name: str  # from /p/<name>; otherwise the dialect
    dialect: str
    path: str  # without /p/<name>
    variant: str
    of_model: bool
    model: str = ""  # when it is in the path
    methods: tuple[str, ...] = ("POST",)

    @property
    def shape(self) -> str:
        """Whose shapes are spoken: Ollama answers on `/v1` too, in OpenAI's, who has two."""
        if self.variant == "responses":
            return "openai-responses"
        if self.variant in PICTURES:
            return "automatic1111"
        ollama = self.dialect == "ollama" and self.path.startswith("/v1/")
        return "ollama-openai" if ollama else self.dialect


def locate(request: Request) -> Place | None:
    """Return where a request belongs; None for a path that nobody serves."""
    name, path = _split(request.path)
    path = path.rstrip("/") or "/"

    def place(dialect: str, variant: str, *, of_model: bool = True, model: str = "") -> Place:
        methods = ("POST",) if of_model else _side_methods(variant)
        return Place(name or dialect, dialect, path, variant, of_model, model, methods)

    if name == "ollama" and path == "/v1/chat/completions":
        return place("ollama", "chat")
    if name == "ollama" and path.startswith("/v1/models"):
        return place("ollama", "models", of_model=False)
    if path.endswith("/chat/completions"):
        return place("openai", "chat")
    if path.endswith("/messages"):
        return place("anthropic", "messages")
    if found := GEMINI.search(path):
        return place("gemini", found[2], model=found[1])
    if found := OLLAMA_MODEL.search(path):
        return place("ollama", found[1])
    if found := OLLAMA_SIDE.search(path):
        return place("ollama", found[1], of_model=False)
    if path == "/":
        return place("ollama", "root", of_model=False)
    for variant, end in OPENAI_OTHERS.items():
        if path.endswith(end):
            return place("openai", variant)
    if path.endswith("/sdapi/v1/sd-models"):
        return place("openai", "sd-models", of_model=False)
    if found := LISTING.search(path):
        return place(_lister(request, path), "models", of_model=False, model=found[1] or "")
    return None


def _split(path: str) -> tuple[str, str]:
    if not path.startswith("/p/"):
        return "", path
    name, _, rest = path[len("/p/") :].partition("/")
    return name, f"/{rest}"


def _lister(request: Request, path: str) -> str:
    """Tell whose list of models is wanted: the paths of OpenAI and Anthropic are the same."""
    if "anthropic-version" in request.headers:
        return "anthropic"
    keys = {"x-goog-api-key"} & set(request.headers) or {"key"} & set(request.query)
    return "gemini" if "/v1beta/" in path or keys else "openai"


def _side_methods(variant: str) -> tuple[str, ...]:
    if variant in ("show", "pull"):
        return ("POST",)
    return ("DELETE",) if variant == "delete" else READ
