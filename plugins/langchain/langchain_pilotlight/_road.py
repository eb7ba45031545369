"""From a list of chat models to a route of the core."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

from langchain_core.language_models import BaseChatModel

import pilotlight
from langchain_pilotlight._errors import NotAllowed
from langchain_pilotlight._provider import ModelProvider
from langchain_pilotlight._vendors import can_be_held, identity, inabilities, marks, unchanged
from pilotlight import BreakerPolicy, Route
from pilotlight.extension import CallContext, Endpoint, Target, is_private, slip

ROUTE: Final = "langchain"
_ABILITIES: Final[Mapping[str, str]] = {
    "tool_calling": "tools",
    "image_inputs": "images",
    "audio_inputs": "audio",
    "pdf_inputs": "files",
    "structured_output": "json_schema",
}


@dataclass(frozen=True, slots=True)
class Road:
    """The route of some models, and whom it was made for."""

    models: tuple[BaseChatModel, ...]
    marks: tuple[tuple[Any, ...], ...]
    hold: bool
    route: Route

    @property
    def first(self) -> str:
        """The name of the first target."""
        return self.route.targets[0].name

    def leads_to(self, models: Sequence[BaseChatModel], hold: bool) -> bool:
        """Tell whether it was made for just these objects, as they are now."""
        same = len(models) == len(self.models) and hold == self.hold
        return (
            same
            and all(map(operator.is_, models, self.models))
            and all(map(unchanged, models, self.marks))
        )

    def with_rules(self, total_timeout: float | None, private: bool) -> Road:
        """Return it with a deadline in seconds, and for private calls only."""
        if (total_timeout, private) == (self.route.total_timeout, self.route.private):
            return self
        return replace(
            self, route=replace(self.route, total_timeout=total_timeout, private=private)
        )

    def trip(
        self,
        messages: Sequence[Any],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
        *,
        stream: bool = False,
    ) -> CallContext:
        """Put a call on its way."""
        options = dict(kwargs) if not stop else {**kwargs, "stop": stop}
        private = bool(options.pop("private", None))
        _check_names(options)
        if is_private(private, self.route.private):
            self._keep_at_home(options)
        try:
            return self.route.journey(messages, options, private=private, stream=stream)
        except pilotlight.ConfigError as refused:
            raise NotAllowed(
                "this call is private, and none of the models is proven local: nothing was "
                'sent; add fallback=ChatOllama(model="...") at a loopback address'
            ) from refused

    def _keep_at_home(self, options: Mapping[str, Any]) -> None:
        """Refuse a private call with options that would have another than the proven model asked.

        What has put a name elsewhere is caught at the wire; see `_vendors.Gate`.
        """
        for target in self.route.targets:
            if target.local:
                refused = cast("ModelProvider", target.provider).astray(options)
                if refused is not None:
                    raise refused


def _check_names(options: Mapping[str, Any]) -> None:
    """Refuse a slip of the keyboard: the models would be asked as if `privat=` said nothing.

    Any other name is the models' affair.
    """
    for name in options:
        if (meant := slip(name, ("private",))) is not None:
            raise pilotlight.InvalidCall(f"unknown option {name!r}; did you mean {meant}=?")


def road(models: tuple[BaseChatModel, ...], breaker: BreakerPolicy | None, hold: bool) -> Road:
    """Make the targets; contacts nobody."""
    targets: list[Target] = []
    before = tuple(map(marks, models))
    for model in models:
        targets.append(_target(model, models[0], breaker, hold, [each.name for each in targets]))
    return Road(models, before, hold, Route(ROUTE, tuple(targets)))


def _target(
    model: BaseChatModel,
    primary: BaseChatModel,
    breaker: BreakerPolicy | None,
    hold: bool,
    taken: Sequence[str],
) -> Target:
    whom = identity(model)
    endpoint = Endpoint(
        free_name(whom.model, taken), whom.model, api_base=whom.base_url, api_key=whom.api_key
    )
    provider = ModelProvider(
        model, endpoint, primary=model is primary, own_words=type(model) is type(primary)
    )
    provider.hold = hold
    profile: Mapping[str, Any] = model.profile or {}
    window = profile.get("max_input_tokens")
    make = partial(
        endpoint.target,
        provider,
        breaker=breaker,
        lacks=inabilities(model)
        | {ours for theirs, ours in _ABILITIES.items() if profile.get(theirs) is False},
        window=window if isinstance(window, int) else None,
    )
    target = make(provable=can_be_held(model))
    return target if not target.local or provider.settle() else make(provable=False)


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return the name, with a number behind it where two models are called the same."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} #{number}"
    return found
