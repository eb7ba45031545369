"""The models a server has: hosted ones that it lists, local ones that it must load.

Owns the state of the local models: what is installed under which name, what is loaded, who
waits for a load or for a slot.  `/p/a` and `/p/b` are two machines and share nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .book import Armed
from .faults import Cold, OfModel
from .runner import KEEP_ALIVE, Runner, Setup, idle

FOREVER = 292 * 365 * 86400.0
CLOUD_HOST = "https://ollama.com:443"
VERSION = "0.33.0"
OLLAMA_CONTEXT = 4096  # what a machine with little video memory gives a model unasked

# What older servers do not have yet, and the first version that has it (the server's own history).
SINCE: Mapping[str, tuple[int, ...]] = {
    "capabilities": (0, 6, 4),  # in /api/show
    "effective_context": (0, 10),  # in /api/ps
    "truncate": (0, 12, 4),  # and `shift`: fields of a request; cut in silence before
    "call_id": (0, 12, 10),  # of a tool call
    "status": (0, 16, 2),  # the endpoint
    "capabilities_in_tags": (0, 30),  # and the training context there
}


@dataclass(frozen=True, slots=True)
class HostedModel:
    """A model that a closed provider lists.  Calls may name others; they are answered too."""

    name: str
    dialect: str
    retires: str | None = None  # ISO date


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model installed in the Ollama that is played."""

    name: str
    capabilities: Sequence[str] = ("completion", "tools")
    context_length: int = 131072  # the training context
    num_ctx: int = OLLAMA_CONTEXT  # the effective one, unless the request says otherwise
    embedding_length: int = 8
    remote_host: str | None = None  # with remote_model: a stub, runs elsewhere
    remote_model: str | None = None
    loaded: bool = False
    load_seconds: float = 0.0
    slots: int = 1  # requests at once, OLLAMA_NUM_PARALLEL; the rest wait
    native: bool = False  # served with its file's own template; this shows in some errors
    server: str = VERSION  # the version of the Ollama that has it; of all its models alike
    size: int = 2_019_393_189
    size_vram: int | None = None  # None: all of it
    family: str = "llama"
    parameter_size: str = "3.2B"
    quantization: str = "Q4_K_M"

    @property
    def display(self) -> str:
        return display_name(self.name)

    def knows(self, what: str) -> bool:
        """Tell whether the model's server is new enough for an entry of SINCE."""
        return tuple(int(part) for part in self.server.split(".")) >= SINCE[what]


HOSTED_MODELS = (
    HostedModel("gpt-4o", "openai"),
    HostedModel("gpt-4o-mini", "openai"),
    HostedModel("claude-sonnet-4-5", "anthropic"),
    HostedModel("gemini-2.5-flash", "gemini"),
)
LOCAL_MODELS = (LocalModel("llama3.2:3b"),)


class QueueFull(Exception):
    """More requests wait for a load than OLLAMA_MAX_QUEUE allows."""


def display_name(name: str) -> str:
    """Return a model's name as Ollama lists it: with its tag, without the default registry."""
    short = name.removeprefix("registry.ollama.ai/").removeprefix("library/")
    return short if ":" in short.rsplit("/", 1)[-1] else f"{short}:latest"


def full_name(name: str) -> str:
    """Return the name that Ollama uses in some errors."""
    short = display_name(name)
    return f"registry.ollama.ai/{short if '/' in short else f'library/{short}'}"


def is_cloud_name(name: str) -> bool:
    tag = name.rsplit(":", 1)[-1].lower() if ":" in name else ""
    return tag == "cloud" or tag.endswith("-cloud")


@dataclass(slots=True)
class Machine:
    """One Ollama: its installed models, its runners, its queue for loading."""

    installed: dict[str, LocalModel]
    max_queue: int
    pulled: set[str] = field(default_factory=set)
    partial: dict[str, int] = field(default_factory=dict)  # quarters fetched by broken pulls
    runners: dict[str, Runner] = field(default_factory=dict)
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    queued: int = 0

    @property
    def version(self) -> str:
        """The server's: its models name it."""
        return next((model.server for model in self.installed.values()), VERSION)

    def knows(self, what: str) -> bool:
        """Tell whether the server is new enough for an entry of SINCE."""
        return LocalModel("any", server=self.version).knows(what)

    def view(self, standing: Iterable[Armed]) -> dict[str, LocalModel]:
        """Return the models as they appear under the faults that stand."""
        seen = dict(self.installed)
        for armed in standing:
            fault = armed.fault
            if not isinstance(fault, OfModel):
                continue
            wanted = fault.model and display_name(fault.model).lower()
            for key in [key for key in seen if wanted in (None, key)]:
                if fault.kind == "missing":
                    if key not in self.pulled:
                        del seen[key]
                else:
                    remote = f"{seen[key].display}-cloud"
                    seen[key] = dataclasses.replace(
                        seen[key], remote_host=CLOUD_HOST, remote_model=remote
                    )
        return seen

    def pull(self, name: str) -> LocalModel:
        key = display_name(name).lower()
        self.pulled.add(key)
        self.partial.pop(key, None)
        return self.installed.setdefault(key, LocalModel(name))

    def delete(self, name: str) -> None:
        key = display_name(name).lower()
        self.pulled.discard(key)
        self.installed.pop(key, None)
        self.runners.pop(key, None)

    def runner(self, model: LocalModel) -> Runner:
        key = model.display.lower()
        if key not in self.runners:
            slots = asyncio.Semaphore(model.slots)
            runner = self.runners[key] = Runner(slots, model.loaded, Setup(model.num_ctx))
            runner.touch(None)
        return self.runners[key]

    def is_warm(self, model: LocalModel, standing: Iterable[Armed]) -> bool:
        runner = self.runner(model)
        if runner.loaded and runner.expires < time.time():
            runner.loaded = False
        cold = _cold(standing)
        return runner.loaded and (cold is None or runner.cold_serial >= cold.serial)

    def is_ready(self, model: LocalModel, standing: Iterable[Armed], wanted: Setup) -> bool:
        return self.is_warm(model, standing) and self.runner(model).setup.serves(wanted)

    async def load(self, model: LocalModel, standing: Sequence[Armed], wanted: Setup) -> float:
        """Load a model if it is not; return the seconds it took.

        The load belongs to the request that started it: when that request is cancelled, because
        its client left, nothing is loaded and the next one starts from zero.
        """
        runner = self.runner(model)
        if self.is_ready(model, standing, wanted):
            return 0.0
        if self.queued >= self.max_queue and self.loading.locked():
            raise QueueFull
        started = time.monotonic()
        self.queued += 1
        try:
            await self.loading.acquire()
        finally:
            self.queued -= 1
        try:
            if not self.is_ready(model, standing, wanted):
                async with idle(runner, model.slots):
                    await self._load(runner, model, _cold(standing), wanted)
        finally:
            self.loading.release()
        return time.monotonic() - started

    async def _load(
        self, runner: Runner, model: LocalModel, cold: Armed | None, wanted: Setup
    ) -> None:
        runner.loaded = False
        seconds = model.load_seconds
        if cold is not None and isinstance(cold.fault, Cold) and runner.cold_serial < cold.serial:
            seconds = cold.fault.seconds
        if seconds:
            await asyncio.sleep(seconds)
        runner.loaded, runner.setup = True, wanted
        runner.cold_serial = cold.serial if cold else runner.cold_serial
        runner.touch(KEEP_ALIVE)  # what an earlier copy was told does not hold for this one

    @asynccontextmanager
    async def slot(self, model: LocalModel, keep_alive: float | None) -> AsyncIterator[None]:
        """Hold one of the model's slots; wait for it without limit, as Ollama does."""
        runner = self.runner(model)
        async with runner.slots:
            try:
                yield
            finally:
                runner.touch(keep_alive)
                if runner.keep_alive == 0:
                    runner.loaded = False


class Machines:
    """The Ollama of each name, made when first asked for."""

    def __init__(self, models: Iterable[LocalModel], max_queue: int) -> None:
        self._models = tuple(models)
        self._max_queue = max_queue
        self._machines: dict[str, Machine] = {}

    def __getitem__(self, name: str) -> Machine:
        if name not in self._machines:
            installed = {model.display.lower(): model for model in self._models}
            self._machines[name] = Machine(installed, self._max_queue)
        return self._machines[name]

    def clear(self) -> None:
        self._machines.clear()


def local_models(given: Iterable[LocalModel | str] | None) -> tuple[LocalModel, ...]:
    """Read the models argument: full descriptions, or names."""
    if given is None:
        return LOCAL_MODELS
    return tuple(each if isinstance(each, LocalModel) else LocalModel(each) for each in given)


def _cold(standing: Iterable[Armed]) -> Armed | None:
    return next((armed for armed in standing if isinstance(armed.fault, Cold)), None)
