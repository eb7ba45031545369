"""Is the local model there, and loaded?  Asked of Ollama itself, without loading anything.

version → installed → really local → what it can do → loaded, and with what context.
Facts: Ollama's API and source, v0.33 (wire/ollama.md, A3 A8 A9).  Old servers lack
some of the fields: what they do not say is None, and held against nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from pilotlight.core.breaker.policy import HEALTH_CHECK
from pilotlight.core.provider import Timeouts
from pilotlight.core.target import Target
from pilotlight.health.server import Json, NotAsExpected, Server, connection_of, starved, visiting
from pilotlight.providers.ollama.names import display_name, is_cloud_name
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.field_types import MOST

if TYPE_CHECKING:
    import httpx

    from pilotlight.health.hosted import HostedCheck

State = Literal["loaded", "installed", "missing", "cloud", "unreachable"]

CHECK_TIMEOUTS: Final = Timeouts(connect=2.0, first_token=None, between_tokens=None, total=5.0)

# What calls need, in the server's word for it.  JSON schemas are a grammar of the server's
# own, so every model has them.
WORDS: Final[Mapping[str, str]] = {"tools": "tools", "images": "vision", "thinking": "thinking"}

# Why a breaker may be open that a good check refutes.
_REFUTABLE: Final = frozenset(
    {HEALTH_CHECK, str(Fault.LOCAL_MODEL_MISSING), str(Fault.MODEL_NOT_FOUND)}
)


@dataclass(frozen=True, slots=True)
class LocalCheck:
    """How an Ollama target is: `loaded`, `installed` but not loaded; the rest can't answer.

    `training_context` is what the model was made for, `effective_context` what it is
    loaded with; `vram_share` how much of it, 0 to 1, lies in video memory.  `size` in
    bytes: in memory where it is loaded, else on disk.
    """

    state: State
    version: str | None = None
    capabilities: frozenset[str] | None = None
    training_context: int | None = None
    effective_context: int | None = None
    vram_share: float | None = None
    size: int | None = None
    remote_host: str | None = None
    problem: str | None = None
    mend: str | None = None
    duration: float = 0.0
    digest: str | None = field(default=None, repr=False)
    starved: bool = False  # no answer in time, and it was this process that had none

    @property
    def lacks(self) -> frozenset[str]:
        """What calls may need and this model has not; empty where the server does not say."""
        if self.capabilities is None:
            return frozenset()
        return frozenset(need for need, word in WORDS.items() if word not in self.capabilities)

    @property
    def failed(self) -> str | None:
        """The reason for which the target can't answer just now, if so."""
        if self.state == "missing":
            return str(Fault.LOCAL_MODEL_MISSING)
        return HEALTH_CHECK if self.state == "unreachable" else None

    @property
    def refutes(self) -> frozenset[str]:
        """The reasons for an open breaker that this result disproves."""
        return _REFUTABLE if self.state in ("loaded", "installed") else frozenset()


def check_target(target: Target) -> LocalCheck | HostedCheck | None:
    """Look at one target; None where there is nothing to look at."""
    connection = connection_of(target)
    if connection is None or not connection.base_url:
        return None
    if connection.wire != "ollama":
        from pilotlight.health.hosted import check_hosted

        with visiting(connection, CHECK_TIMEOUTS) as client:
            return check_hosted(client, connection)
    last = target.health.check
    with visiting(connection, CHECK_TIMEOUTS) as client:
        return check_local(
            client,
            connection.base_url,
            connection.spec.bare_model,
            key=connection.spec.api_key,
            known=last if isinstance(last, LocalCheck) else None,
            embedder=target.space is not None,
        )


def embeds(target: Target) -> bool:
    """Tell whether the target is there for embeddings: it says so, or can do nothing else."""
    check = target.health.check
    able = check.capabilities if isinstance(check, LocalCheck) else None
    alone = able is not None and "embedding" in able and "completion" not in able
    return target.space is not None or alone


def check_local(
    client: httpx.Client,
    base_url: str,
    model: str,
    *,
    key: str | None = None,
    known: LocalCheck | None = None,
    clock: Callable[[], float] = time.monotonic,
    embedder: bool = False,
) -> LocalCheck:
    """Ask a server about one model; never raises for what the server does.

    `embedder`: it need not be able to chat.  `known` spares the large `/api/show` while the
    model's digest is still the same.
    """
    import httpx

    began = clock()
    start = "ollama serve" if _here(base_url) else f"start Ollama on {base_url}, or mend api_base"
    try:
        found = _look(Server(client, base_url, key), model, known)
        found = found if embedder else _useful(found)
    except httpx.TimeoutException:
        problem = f"{base_url}: no answer in time"
        found = LocalCheck("unreachable", problem=problem, mend=start, starved=starved())
    except httpx.HTTPError:
        found = LocalCheck("unreachable", problem=f"{base_url}: nobody answers", mend=start)
    except NotAsExpected as odd:
        problem = f"{base_url} does not answer like Ollama: {odd}"
        found = LocalCheck("unreachable", problem=problem, mend=f"is {base_url} the right address?")
    return replace(found, duration=clock() - began)


def _look(server: Server, model: str, known: LocalCheck | None) -> LocalCheck:
    version = _text((server.get("/api/version") or {}).get("version"))
    if is_cloud_name(model):
        return _cloud(server, LocalCheck("cloud", version), "ollama.com")
    tags = server.get("/api/tags")
    if tags is None:
        raise NotAsExpected("it has no /api/tags")
    entry = _entry(tags, model)
    if entry is None:
        return _missing(model, version, tags)
    size = _number(entry.get("size")) or None
    found = LocalCheck("installed", version, size=size, digest=_text(entry.get("digest")))
    if away := _remote(entry):
        return _cloud(server, found, away)
    if known is not None and found.digest and known.digest == found.digest and known.capabilities:
        # The same model as last time, by its content.
        found = replace(
            found, capabilities=known.capabilities, training_context=known.training_context
        )
    else:
        shown = server.optional("/api/show", {"model": model})
        if away := _remote(shown):
            return _cloud(server, found, away)
        found = replace(found, capabilities=_capabilities(shown), training_context=_training(shown))
    return _running(server, model, found)


def _running(server: Server, model: str, found: LocalCheck) -> LocalCheck:
    """Add whether the model is loaded, and how."""
    runner = _entry(server.optional("/api/ps"), model)
    if runner is None:
        return found
    size, in_vram = _number(runner.get("size")), _number(runner.get("size_vram"))
    return replace(
        found,
        state="loaded",
        effective_context=_number(runner.get("context_length")),
        vram_share=None if not size or in_vram is None else min(1.0, in_vram / size),
        size=size or found.size,
    )


def _useful(found: LocalCheck) -> LocalCheck:
    """Say so if the model can do many things, but not answer."""
    if found.capabilities is None or "completion" in found.capabilities:
        return found
    able = ", ".join(sorted(found.capabilities)) or "nothing"
    return replace(
        found, problem=f"the model can't chat (it has: {able})", mend="name a chat model"
    )


def _missing(model: str, version: str | None, tags: Json) -> LocalCheck:
    """Say so, and which of the same family is there: `llama3.2` alone is `llama3.2:latest`."""
    family = display_name(model).partition(":")[0].lower()
    near = [name for name, _ in _entries(tags) if name.partition(":")[0].lower() == family]
    told = f"{display_name(model)} is not installed"
    mend = f"pilotlight pull {model}"
    if near:
        told += f"; here is {', '.join(near)}"
        mend += f'    # or model = "ollama/{near[0]}"'
    return LocalCheck("missing", version, problem=told, mend=mend)


def _cloud(server: Server, found: LocalCheck, host: str) -> LocalCheck:
    """A model that runs elsewhere; the server may have been told never to do that."""
    cloud = server.optional("/api/status").get("cloud")
    disabled = isinstance(cloud, dict) and cloud.get("disabled") is True
    ending = ", and this server has been told not to use it" if disabled else ""
    return replace(
        found,
        state="cloud",
        remote_host=host,
        problem=f"it runs on {host}, not here{ending}",
        mend="name a model that runs here, such as ollama/llama3.2:3b",
    )


def installed(server: Server) -> list[str]:
    """Return the names of all that the server lists, the newest first; none if it can't say."""
    return [name for name, _ in _entries(server.optional("/api/tags"))]


def _entry(listing: Json, model: str) -> Json | None:
    """Return the model's entry in `/api/tags` or `/api/ps`, found by any of its names."""
    wanted = display_name(model).lower()
    return next((e for name, e in _entries(listing) if display_name(name).lower() == wanted), None)


def _entries(listing: Json) -> Iterator[tuple[str, Json]]:
    models = listing.get("models")
    for each in models if isinstance(models, list) else ():
        if isinstance(each, dict) and (name := _text(each.get("name")) or _text(each.get("model"))):
            yield name, each


def _remote(said: Json) -> str | None:
    """Return where the model runs, if that is not here."""
    host, model = _text(said.get("remote_host")), _text(said.get("remote_model"))
    return host or (f"another host, as {model}" if model else None)


def _capabilities(shown: Json) -> frozenset[str] | None:
    given = shown.get("capabilities")
    if not isinstance(given, Sequence) or isinstance(given, str):
        return None  # servers before 0.6.4 do not say
    return frozenset(str(each) for each in given)


def _training(shown: Json) -> int | None:
    """Read `<architecture>.context_length` by its whole name: others end in the same words."""
    info = shown.get("model_info")
    if not isinstance(info, dict):
        return None
    return _number(info.get(f"{info.get('general.architecture')}.context_length")) or None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int | None:
    """Return a count, also one that was sent as a float; None for NaN, and for what is none."""
    if type(value) not in (int, float) or not 0 <= value < MOST:
        return None
    return int(value)


def _here(base_url: str) -> bool:
    return any(host in base_url for host in ("://127.", "://localhost", "://[::1]"))
