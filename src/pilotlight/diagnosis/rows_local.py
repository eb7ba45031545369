"""The rows of Ollama and its relatives, which fail in ways no cloud does.

The texts are those of Ollama's source (wording changed over the versions: "llama
runner", "model runner", "llama-server"), of llama.cpp and of LM Studio.
"""

from __future__ import annotations

from typing import Final

from pilotlight.diagnosis.row import CLIENT, SERVER, Row, row
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.tap import Wire

_OLLAMA: Final[tuple[Wire, ...]] = ("ollama",)
# Ollama also speaks OpenAI's dialect, so what only it says is believed there, too.
_MAYBE_OLLAMA: Final[tuple[Wire, ...]] = ("ollama", "openai", "other")

_OUT_OF_MEMORY = (
    r"out of memory|out-of-memory|cudamalloc failed|failed to allocate|not enough memory"
    r"|insufficient memory|signal: killed|oom[- ]?kill|unable to allocate"
)

LOCAL_ROWS: Final[tuple[Row, ...]] = (
    row(
        Fault.PRIVACY_BOUNDARY,
        "ollama: continue#11404; Ollama server, cloud models",
        CLIENT,
        wires=_OLLAMA,
        code="signin_url",
    ),
    row(
        Fault.PRIVACY_BOUNDARY,
        "ollama: A4 cloud rows; sign-in wording of older servers",
        CLIENT,
        r"ollama cloud is disabled|cannot run this remote model|sign(?:ed)? ?in to ollama"
        r"|need to be signed in|run cloud models",
        wires=_MAYBE_OLLAMA,
    ),
    row(
        Fault.PERMISSION_DENIED,
        "ollama#15990: subscription",
        {401, 402, 403, None},
        r"requires? a (?:\w+ )?subscription|upgrade for access",
        wires=_MAYBE_OLLAMA,
    ),
    row(
        Fault.OVERLOADED,
        "ollama#15934: its cloud, not this host",
        {429, 503, None},
        r"server overloaded, please retry|\(ref: [0-9a-f]{8}-",
        wires=_OLLAMA,
    ),
    row(
        Fault.CONTEXT_EXCEEDED,
        "ollama routes.go; llama.cpp exceed_context_size_error; LM Studio",
        {400, 413, 422, 500, None},
        r"prompt (?:is )?too long|longer than the context|exceeds? (?:the )?(?:available"
        r"|max\w*) context"
        r"|context length|context size|initial prompt is greater than the context"
        r"|input length exceeds",
        wires=_OLLAMA,
    ),
    row(
        Fault.LOCAL_OVERLOADED,
        "ollama llm/server.go memory messages",
        SERVER | {400, None},
        rf"requires more (?:system |gpu |video )?memory|model is too large|{_OUT_OF_MEMORY}",
        wires=_OLLAMA,
    ),
    row(
        Fault.LOCAL_OVERLOADED,
        "ollama llm/server.go, said over /v1",
        SERVER | {400, None},
        r"model requires more (?:system|gpu|video) memory"
        rf"|(?:runner|llama-server)\b.{{0,80}}(?:{_OUT_OF_MEMORY})",
        wires=_MAYBE_OLLAMA,
    ),
    row(
        Fault.LOCAL_RUNNER_CRASHED,
        "ollama#14093, #11775, chatbox#2114; A4",
        SERVER | {None},
        r"(?:model|llama) runner|runner process|llama[- ]server|process has terminated"
        r"|(?:no longer|not) running|unexpectedly stopped|encountered while running the model"
        r"|(?:unable to|failed to|error) load(?:ing)? (?:the )?model|cuda error|ggml_"
        r"|forcibly closed"
        r"|exception: access violation|\bpost predict|post \W{0,2}http://127",
        wires=_OLLAMA,
    ),
    row(
        Fault.LOCAL_RUNNER_CRASHED,
        "ollama, said over /v1",
        SERVER | {None},
        r"(?:model|llama) runner (?:process )?(?:has|is)|llama-server process has terminated"
        r"|encountered while running the model",
        wires=_MAYBE_OLLAMA,
    ),
    row(
        Fault.LOCAL_OVERLOADED,
        "ha-llmvision#648; ollama#4159; llama.cpp slots",
        SERVER | {429, None},
        r"server (?:is )?busy|maximum pending requests|llm busy|no slots? available|loading model"
        r"|model is (?:still )?loading|queue (?:is )?full",
        wires=_OLLAMA,
    ),
    row(
        Fault.LOCAL_OVERLOADED,
        "ha-llmvision#648, said over /v1",
        {503, None},
        r"maximum pending requests exceeded",
        wires=_MAYBE_OLLAMA,
    ),
    row(
        Fault.MODEL_RETIRED,
        "ollama cloud: photoprism#5726",
        {404, 410},
        r"retired|end of life|no longer available|deprecated|decommissioned",
        wires=_OLLAMA,
    ),
    row(
        Fault.LOCAL_MODEL_MISSING,
        "ollama#15319; A4: wording of all versions",
        {400, 404, 500, None},
        r"try pulling it first|pull(?:ing)? (?:the |model )?manifest|invalid model name"
        r"|model\b.{0,120}not found|no such model",
        wires=_OLLAMA,
    ),
    row(Fault.LOCAL_MODEL_MISSING, "ollama routes.go", {404}, wires=_OLLAMA),
    row(Fault.LOCAL_OVERLOADED, "ollama PR#4144: OLLAMA_MAX_QUEUE", {503}, wires=_OLLAMA),
)
