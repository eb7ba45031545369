"""What an experiment would do besides playing outages: better known before it is run.

chaostoolkit runs what a file tells it to: programs, HTTP requests, functions of any module; and
it imports modules while it checks the file.  A file of somebody else's may name only our own
actions, probes and control, and a configuration that stays in the world of the experiment.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

OWN: Final = frozenset(
    f"pilotlight_chaos.{name}" for name in ("actions", "probes", "storage", "gateway", "control")
)
LEADS_OUT: Final = frozenset(
    {"sensitive", "receipts", "telemetry", "state", "api_base", "api_key", "options", "via"}
)
"""Keys of pilotlight's configuration that import code, write files, or lead to other hosts."""


def strangers(experiment: Any) -> list[str]:
    """Return what a file would run or use that is not ours, in words.

    The file is known to be finite (`document.read`).
    """
    return [said for each in _mappings(experiment) for said in _foreign(each)]


def _mappings(top: Any) -> Iterator[Mapping[Any, Any]]:
    """Yield every mapping, as often as YAML's references lead to it."""
    ahead = [top]
    while ahead:
        each = ahead.pop()
        if isinstance(each, Mapping):
            yield each
            ahead += reversed(list(each.values()))
        elif isinstance(each, list):
            ahead += reversed(each)


def _foreign(entry: Mapping[Any, Any]) -> Iterator[str]:
    if "provider" in entry and not _is_own(provider := entry["provider"]):
        yield _told(provider)
    if entry.get("type") == "vault":
        yield "secrets of a vault"
    for key in sorted(entry.keys() & LEADS_OUT):
        if not (key == "api_base" and _stays(entry[key])):
            yield f"{key} = {repr(entry[key])[:60]}"


def _stays(address: Any) -> bool:
    """Tell whether an address is on this machine, or nowhere (`.invalid`, RFC 2606)."""
    try:
        host = urlsplit(address).hostname or ""
    except (ValueError, AttributeError, TypeError):
        return False
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith(".invalid")


def _is_own(provider: Any) -> bool:
    if not isinstance(provider, Mapping) or provider.get("type") != "python":
        return False
    module, name = provider.get("module"), provider.get("func")
    if not (isinstance(module, str) and module in OWN):
        return False
    function = name and getattr(import_module(module), str(name), None)
    return name is None or (inspect.isfunction(function) and function.__module__ in OWN)


def _told(provider: Any) -> str:
    if not isinstance(provider, Mapping):
        return f"provider {repr(provider)[:60]}"
    what = [provider.get(key) for key in ("path", "url", "module", "func", "arguments")]
    return f"{provider.get('type')}: {' '.join(str(each) for each in what if each)[:120]}"
