"""How Ollama reads addresses and model names.  Facts: Ollama API docs and server source, v0.33."""

from __future__ import annotations

import ipaddress
import os
from typing import Final

from pilotlight.plain import logger

DEFAULT_PORT: Final = 11434
_PORTS: Final = {"http": 80, "https": 443}
_LOG: Final = logger(__name__)


def normalise_host(api_base: str | None = None) -> str:
    """Return the base URL: the argument, else `OLLAMA_HOST`, else `http://127.0.0.1:11434`.

    Forms as in `OLLAMA_HOST`: `host`, `host:port`, `:port`, `http(s)://host[:port][/path]`.
    The default port is 11434 without a scheme, else the scheme's own; an invalid
    port becomes the default with a warning.  The addresses that a server binds to
    mean this machine, and a trailing `/v1` or `/api` is cut: the native API lies beside it.
    """
    given = (api_base or "").strip() or os.environ.get("OLLAMA_HOST", "").strip(" \t\r\n\"'")
    scheme, separator, rest = given.partition("://")
    if not separator:
        secure = given.lower() == "ollama.com"
        scheme, rest, default = "https" if secure else "http", given, DEFAULT_PORT
        default = 443 if secure else default
    elif (scheme := scheme.lower()) in _PORTS:
        default = _PORTS[scheme]
    else:
        raise ValueError(f"an Ollama address begins with http:// or https://, not {scheme}://")
    address, _, path = rest.partition("/")
    if "@" in address:
        raise ValueError("an Ollama address holds no user or password; give the key as api_key")
    host, port = _host_and_port(address, default)
    return f"{scheme}://{host}:{port}{_path(path)}"


def _path(path: str) -> str:
    parts = [part for part in path.partition("?")[0].partition("#")[0].split("/") if part]
    if parts and parts[-1] in ("v1", "api"):
        parts.pop()
    return "".join(f"/{part}" for part in parts)


def _host_and_port(address: str, default: int) -> tuple[str, int]:
    if _ip(address.strip("[]")):  # also an IPv6 address without its brackets
        host, port = address, ""
    else:
        host, _, port = address.rpartition(":") if ":" in address else (address, "", "")
    return _reachable(host.strip("[]")), _port(port, default)


def _reachable(host: str) -> str:
    """Turn the addresses that only a server can use into the one a client reaches it by."""
    ip = _ip(host)
    if not host or (ip and ip.is_unspecified):
        return "[::1]" if ip and ip.version == 6 else "127.0.0.1"
    return f"[{ip}]" if ip and ip.version == 6 else host.lower()


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _port(port: str, default: int) -> int:
    if not port:
        return default
    if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return int(port)
    _LOG.warning("invalid port %r in the Ollama address, using %d", port, default)
    return default


def is_cloud_name(model: str) -> bool:
    """Tell whether the server forwards calls of this name to ollama.com.

    So it does for the tag `cloud` and tags that end in `-cloud`, in any case of
    letters; the model need not be pulled.  A tag before `:local` counts as well
    (the server refuses such names).  A stub may hide behind any other name.
    """
    tags = [tag.strip().lower() for tag in model.split(":")[1:]]
    return any(tag == "cloud" or tag.endswith("-cloud") for tag in tags)


def display_name(model: str) -> str:
    """Return the name as `/api/tags` gives it: the tag always, default host and namespace never.

    Compare the results without regard to case, as the server does.
    """
    name = model.strip()
    if name.lower().endswith(":local"):  # says where to look, and is not part of the name
        name = name[: -len(":local")]
    if name.lower().startswith("registry.ollama.ai/"):
        name = name.partition("/")[2]
    if name.lower().startswith("library/") and name.count("/") == 1:
        name = name.partition("/")[2]
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
