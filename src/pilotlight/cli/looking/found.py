"""What is here to begin with: keys in the environment, and an Ollama with its models.

For where there is no configuration yet; a configured target is looked at by `survey`.
Nothing here sends a prompt or a key to a closed provider, or changes anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field

from pilotlight.catalog.providers import CATALOG, ProviderInfo, Spec
from pilotlight.health.checks import CHECK_TIMEOUTS, LocalCheck, check_local, installed
from pilotlight.health.server import Server, visiting
from pilotlight.providers.connection import Connection

DEFAULT_MODEL = "llama3.2"  # what to pull when there is nothing, as README says


@dataclass(frozen=True, slots=True)
class Ollama:
    """The Ollama server of this machine as it answers now; `problem` says why it doesn't.

    `models` are those that run here and answer questions, the newest first.
    """

    url: str
    problem: str = ""
    version: str = "unknown"
    models: Mapping[str, LocalCheck] = field(default_factory=dict)


def ollama() -> Ollama:
    """Ask the default server for its version and its models.

    Raises ValueError where OLLAMA_HOST is no address.
    """
    connection = Connection(Spec("ollama", f"ollama/{DEFAULT_MODEL}"))
    with closing(connection):
        first = _check(connection, DEFAULT_MODEL)
        if first.state == "unreachable":
            return Ollama(connection.base_url, first.problem or "unreachable")
        return Ollama(
            connection.base_url, "", first.version or "unknown", dict(_chatting(connection))
        )


def _check(connection: Connection, model: str) -> LocalCheck:
    with visiting(connection, CHECK_TIMEOUTS) as client:
        return check_local(client, connection.base_url, model)


def _chatting(connection: Connection) -> Iterator[tuple[str, LocalCheck]]:
    import httpx

    names: list[str] = []
    with suppress(httpx.HTTPError), visiting(connection, CHECK_TIMEOUTS) as client:
        names = installed(Server(client, connection.base_url))
    for name in names:
        check = _check(connection, name)
        # A server before v0.6.4 does not say what a model can do, its name has to.
        embeds = check.capabilities is None and ("embed" in name or "bert" in name)
        if check.state in ("loaded", "installed") and not check.problem and not embeds:
            yield name, check


def keys_present() -> Mapping[str, str]:
    """Return provider → environment variable, for the keys that are set; never the keys."""
    found = {provider: _key_name(known) for provider, known in CATALOG.items()}
    return {provider: name for provider, name in found.items() if name}


def _key_name(known: ProviderInfo) -> str:
    return next((name for name in known.keys if os.environ.get(name)), "")
