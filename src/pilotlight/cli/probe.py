"""What is out there: keys in the environment, Ollama servers, hosts that take a connection.

Nothing here sends a prompt or a key to a closed provider, or changes anything.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pilotlight.providers.catalog import CATALOG, ProviderInfo
from pilotlight.providers.ollama_names import display_name, is_cloud_name

PATIENCE = 2.0  # seconds for what a healthy server does in milliseconds
DEFAULT_MODEL = "llama3.2:3b"  # what to pull when there is nothing


@dataclass(frozen=True, slots=True)
class Installed:
    """A model as an Ollama server lists it."""

    name: str
    capabilities: tuple[str, ...] = ()
    family: str = ""
    size: int = 0
    remote_host: str = ""

    @property
    def chats(self) -> bool:
        """Whether it runs here and answers questions: no stub, no embedding model."""
        return not self.remote_host and not is_cloud_name(self.name) and not self.embeds_only

    @property
    def embeds_only(self) -> bool:
        """Whether it only embeds; servers before v0.6 do not say, their names have to."""
        if self.capabilities:
            return "completion" not in self.capabilities
        return "bert" in self.family or "embed" in self.name


@dataclass(frozen=True, slots=True)
class Ollama:
    """An Ollama server as it answers now; `problem` says why it doesn't."""

    url: str
    problem: str = ""
    version: str = ""
    models: tuple[Installed, ...] = ()
    loaded: frozenset[str] = frozenset()

    def find(self, model: str) -> Installed | None:
        """Return an installed model by any of its names."""
        wanted = display_name(model).lower()
        return next((m for m in self.models if display_name(m.name).lower() == wanted), None)

    def is_loaded(self, model: str) -> bool:
        """Whether the model is in memory, ready to answer."""
        return display_name(model).lower() in self.loaded


def ollama(url: str, key: str | None = None, timeout: float = PATIENCE) -> Ollama:
    """Ask a server for its version and its models."""
    import httpx

    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(trust_env=False, timeout=timeout, headers=headers) as client:
            version = _get(client, f"{url}/api/version").get("version", "")
            listed = _get(client, f"{url}/api/tags").get("models") or []
            running = _get(client, f"{url}/api/ps").get("models") or []
    except httpx.TimeoutException:
        return Ollama(url, f"no answer within {timeout:g} s")
    except httpx.TransportError:
        return Ollama(url, "nobody answers")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Ollama(url, f"does not answer like Ollama ({error})")
    return Ollama(
        url,
        "",
        str(version),
        tuple(_installed(each) for each in listed),
        frozenset(display_name(str(each.get("name"))).lower() for each in running),
    )


def _get(client: Any, url: str) -> Mapping[str, Any]:
    response = client.get(url)
    if not response.is_success:
        raise ValueError(f"status {response.status_code}")
    said = response.json()
    if not isinstance(said, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - about the data, not our types
    return said


def _installed(said: Mapping[str, Any]) -> Installed:
    return Installed(
        str(said.get("name") or said.get("model")),
        tuple(said.get("capabilities") or ()),
        str((said.get("details") or {}).get("family") or ""),
        int(said.get("size") or 0),
        str(said.get("remote_host") or ""),
    )


def remote_host(url: str, model: str, key: str | None = None) -> str:
    """Return the host on which the server runs a model for others; empty when it is its own."""
    import httpx

    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(trust_env=False, timeout=PATIENCE, headers=headers) as client:
            said = client.post(f"{url}/api/show", json={"model": model}).json()
        return str(said.get("remote_host") or said.get("remote_model") or "")
    except (httpx.HTTPError, ValueError, AttributeError):
        return ""  # the list of models has already been asked


def unreachable(url: str, *, tls: bool = False, timeout: float = PATIENCE) -> str:
    """Connect and hang up, without a request; return what went wrong, empty when nothing.

    With `tls` the handshake is made as well.  In a thread, for a name server that
    does not answer would keep `getaddrinfo` long beyond the timeout.
    """
    result = [f"no connection within {timeout:g} s"]

    def attempt() -> None:
        try:
            _connect(url, tls, timeout)
            result[0] = ""
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            result[0] = getattr(error, "strerror", None) or str(error) or type(error).__name__

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout + 0.5)
    return result[0]


def _connect(url: str, tls: bool, timeout: float) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (80 if parts.scheme == "http" else 443)
    proxy = _proxy(parts.scheme, host)
    address = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
    with socket.create_connection(address, timeout) as sock:
        if tls and parts.scheme == "https" and not proxy:
            import httpx

            with httpx.create_ssl_context().wrap_socket(sock, server_hostname=host):
                pass


def _proxy(scheme: str, host: str) -> Any:
    """Return the proxy through which calls to this host go; then it is what must be reachable."""
    named = getproxies().get(scheme) or getproxies().get("all")
    if not named or proxy_bypass(host) or host in ("localhost", "127.0.0.1", "::1"):
        return None
    return urlsplit(named if "://" in named else f"http://{named}")


def keys_present() -> Mapping[str, str]:
    """Return provider → environment variable, for the keys that are set; never the keys."""
    found = {provider: _key_name(known) for provider, known in CATALOG.items()}
    return {provider: name for provider, name in found.items() if name}


def _key_name(known: ProviderInfo) -> str:
    return next((name for name in known.keys if os.environ.get(name)), "")
