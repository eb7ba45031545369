"""Is a hosted model still offered, and the key good?  Asked of its provider's free model list.

Nothing is generated and nothing is paid.  Opt-in (`health = "models"`): else a hosted
target is judged by its calls alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from pilotlight.core.breaker.policy import HEALTH_CHECK
from pilotlight.health.server import starved
from pilotlight.providers.connection import Connection
from pilotlight.vocabulary.faults import Fault
from pilotlight.wire.field_types import loads

if TYPE_CHECKING:
    import httpx

State = Literal["ok", "auth_failed", "missing", "unreachable"]

ANTHROPIC_VERSION: Final = "2023-06-01"
_REFUTABLE: Final = frozenset({HEALTH_CHECK, str(Fault.AUTH_FAILED), str(Fault.MODEL_NOT_FOUND)})


@dataclass(frozen=True, slots=True)
class HostedCheck:
    """How a hosted target is, as far as its provider's list of models tells."""

    state: State
    retires: date | None = None
    replacement: str | None = None
    problem: str | None = None
    mend: str | None = None
    duration: float = 0.0
    starved: bool = False  # no answer in time, and it was this process that had none

    @property
    def failed(self) -> str | None:
        """The reason for which the target can't answer just now, if so.

        A model that a list does not name may answer all the same: an alias, a gateway's own.
        """
        if self.state == "auth_failed":
            return str(Fault.AUTH_FAILED)
        return HEALTH_CHECK if self.state == "unreachable" else None

    @property
    def refutes(self) -> frozenset[str]:
        """The reasons for an open breaker that this result disproves."""
        return _REFUTABLE if self.state == "ok" and not self.problem else frozenset()


def check_hosted(
    client: httpx.Client, connection: Connection, *, clock: Callable[[], float] = time.monotonic
) -> HostedCheck:
    """Ask a provider about one model; never raises for what the provider does."""
    import httpx

    if (mend := connection.keyless) is not None:
        return HostedCheck("auth_failed", problem="no API key", mend=mend)
    began = clock()
    url, headers = list_request(connection)
    try:
        found = _read(client.get(url, headers=headers, timeout=30.0), connection)
    except httpx.TimeoutException:
        problem = "no answer in time"
        found = HostedCheck("unreachable", problem=problem, starved=starved())
    except httpx.HTTPError as error:
        found = HostedCheck("unreachable", problem=f"no connection ({type(error).__name__})")
    return replace(found, duration=clock() - began)


def list_request(connection: Connection) -> tuple[str, dict[str, str]]:
    """Return where to ask, and with what; a key never stands in the address."""
    base, key = connection.base_url.rstrip("/"), connection.api_key or ""
    model = quote(connection.spec.bare_model, safe="")
    if connection.wire == "anthropic":  # by name: the list knows no aliases
        headers = {"x-api-key": key, "anthropic-version": ANTHROPIC_VERSION}
        return f"{base.removesuffix('/v1')}/v1/models/{model}", headers
    if connection.wire == "gemini":
        base = base.removesuffix("/v1beta")
        return f"{base}/v1beta/models/{model}", {"x-goog-api-key": key}
    if connection.spec.provider == "automatic1111":
        headers = {"authorization": f"Basic {key}"} if key else {}
        return f"{base.removesuffix('/sdapi/v1')}/sdapi/v1/sd-models", headers
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return f"{base.removesuffix('/beta')}/models", headers  # /beta: DeepSeek's, which has no list


def _read(response: httpx.Response, connection: Connection) -> HostedCheck:
    status, by_name = response.status_code, connection.wire in ("anthropic", "gemini")
    said = _json(response)
    # Google answers a bad key with 400.
    if status in (401, 403) or (status == 400 and "api key" in str(said).lower()):
        mend = "check the key, and that it belongs to this account"
        return HostedCheck("auth_failed", problem=f"the key is refused ({status})", mend=mend)
    if status >= 500:
        return HostedCheck("unreachable", problem=f"status {status}")
    if by_name and isinstance(said, dict) and (response.is_success or status == 404):
        return _found(said) if response.is_success else _missing(connection)
    if not response.is_success:  # throttled, or no such endpoint: that says little
        return HostedCheck("ok", problem=f"its models can't be listed (status {status})")
    return _listed(said, connection)


def _listed(said: Any, connection: Connection) -> HostedCheck:
    entries = list(_entries(said))
    if not entries:
        return HostedCheck("ok", problem="its list of models is empty or not a list")
    name = connection.spec.bare_model.lower()
    entry = next((each for each in entries if name in _names(each)), None)
    return _missing(connection) if entry is None else _found(entry)


def _missing(connection: Connection) -> HostedCheck:
    problem = f"{connection.spec.bare_model} is not among the models of this key"
    return HostedCheck("missing", problem=problem, mend="check the model's name")


def _found(entry: dict[str, Any]) -> HostedCheck:
    """Read when the model ends: OpenAI's, Anthropic's and Mistral's word for it."""
    for field in ("shutdown_date", "retires_at", "deprecation"):
        if (day := _day(entry.get(field))) is not None:
            instead = entry.get("deprecation_replacement_model")
            return HostedCheck("ok", day, instead if isinstance(instead, str) else None)
    return HostedCheck("ok")


def _entries(said: Any) -> Iterator[dict[str, Any]]:
    listed = said.get("data") or said.get("models") if isinstance(said, dict) else said
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict):
            yield each


def _names(entry: dict[str, Any]) -> set[str]:
    aliases = entry.get("aliases")
    own = (entry.get(name) for name in ("id", "name", "model_name", "title"))
    names = [*own, *(aliases if isinstance(aliases, list) else ())]
    return {name.lower() for name in names if isinstance(name, str)}


def _day(value: Any) -> date | None:
    try:
        return datetime.fromisoformat(value).date() if isinstance(value, str) else None
    except ValueError:
        return None


def _json(response: httpx.Response) -> Any:
    try:
        return loads(response.content)
    except (ValueError, RecursionError):
        return None
