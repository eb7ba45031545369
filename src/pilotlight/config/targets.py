"""The table of a target, and what follows from it: its clocks, and how it is looked after."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from pilotlight.catalog import providers
from pilotlight.catalog.providers import RESPONSES, Spec
from pilotlight.config.budgets import MaxPriceTable, PriceTable
from pilotlight.config.tables import ApiKey, BreakerTable, RetryTable, TimeoutTable
from pilotlight.config.values import Ability, Amount, Count, Options, Seconds, Table, bare
from pilotlight.core.provider import Timeouts
from pilotlight.core.requirements import ABILITIES
from pilotlight.core.target import MaintenancePolicy
from pilotlight.providers.ollama.names import is_cloud_name

PROBE_LOCAL, PROBE_HOSTED = 30.0, 300.0  # seconds between two health checks


class TargetConfig(Table):
    """One model endpoint."""

    model: str = Field(
        description="litellm's `provider/model`, such as `openai/gpt-4o`, `openai/responses/gpt-5` "
        "or `ollama/llama3.2:3b`"
    )
    api: Literal["responses"] | None = Field(
        default=None,
        description="`responses` asks by OpenAI's Responses API, as a model named "
        "`openai/responses/...` is; not set: by chat completions, and a model of OpenAI's that "
        "has none of these by Responses",
    )
    api_base: str | None = Field(
        default=None, description="the address; not set: the provider's variable, else its own"
    )
    api_key: Annotated[ApiKey, bare("value")] = Field(
        default=ApiKey(),
        description='the key, or `{ env = "NAME" }`; not set: the provider\'s variable',
    )
    timeout: Annotated[TimeoutTable, bare("total")] = Field(
        default=TimeoutTable(),
        description="the clocks of one attempt, see below; a bare number is `total`",
    )
    concurrency: Count | None = Field(
        default=None, description="calls at once; not set: as many as come"
    )
    queue: Amount = Field(
        default=16, description="calls that may wait for a place; only with `concurrency`"
    )
    context: Count | None = Field(
        default=None,
        description="the model's window in tokens; for Ollama the `num_ctx` that is sent "
        "(not set: 8192)",
    )
    abilities: tuple[Ability, ...] | None = Field(
        default=None,
        description=f"all that the model can do, of `{' '.join(ABILITIES)}`; "
        "not set: what its server or litellm's table says, the rest is assumed",
    )
    space: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="a name for the space in which its embeddings lie: to embed, only targets "
        "that name the same one stand in for one another",
    )
    keep_alive: str | float | None = Field(
        default=None,
        description='how long the model stays loaded after a call, in seconds or as `"10m"`; '
        "Ollama only; not set: its server decides",
    )
    time_reserve: Seconds | None = Field(
        default=None,
        description="seconds kept free for this target while earlier ones are asked; "
        "not set: a quarter of what is left",
    )
    local_addresses: tuple[str, ...] = Field(
        default=(),
        description="hosts that are yours: with such an address the target counts as local, as "
        "an Ollama on this machine does anyway",
    )
    retires: date | None = Field(
        default=None,
        description="the first day without the model, from which on the target is skipped; "
        "not set: what its provider says",
    )
    replacement: str | None = Field(
        default=None,
        description="the model to use instead, named in the warning; only with `retires`",
    )
    health: Literal["off", "on", "models"] | None = Field(
        default=None,
        description="whether the target is checked between calls: `on`, `off`, or for a closed "
        "model `models`, by its provider's free list; not set: Ollama `on`, closed only while "
        "its breaker is open",
    )
    probe_interval: Seconds | None = Field(
        default=None,
        description="seconds between two checks; closed models only with `health`; "
        f"not set: Ollama {PROBE_LOCAL:g}, closed {PROBE_HOSTED:g}",
    )
    warm: Literal["never", "when-degraded", "always"] | None = Field(
        default=None,
        description="when the model is loaded ahead of its first call; Ollama only; not set: "
        "`when-degraded`, at the first failure of a target ahead that counts",
    )
    warm_timeout: Seconds = Field(
        default=600.0, description="seconds that such a load may take; Ollama only"
    )
    pull: Literal["never", "missing"] = Field(
        default="never",
        description="whether a model that a check finds missing is pulled in the background; "
        "Ollama only",
    )
    breaker: BreakerTable = Field(
        default=BreakerTable(), description="this target's own breaker numbers"
    )
    retry: RetryTable = Field(default=RetryTable(), description="this target's own retry numbers")
    price: PriceTable | None = Field(
        default=None,
        description="what its calls cost, see [spending.md](spending.md); not set: by litellm's "
        "table, and a local model nothing",
    )
    max_price: MaxPriceTable | None = Field(
        default=None,
        description="the most that it may cost: above it, or where its price is not known, it is "
        "skipped; not set: any price",
    )
    options: Options = Field(
        default={},
        repr=False,  # may hold a secret
        description="provider options added to every call, such as `api_version`",
    )
    via: Literal["litellm"] | None = Field(
        default=None,
        description="`litellm` sends every call through litellm; not for Ollama; not set: Claude, "
        "Gemini, Cohere and OpenAI-style servers are asked directly",
    )

    @field_validator("model")
    @classmethod
    def _of_openai(cls, given: str) -> str:
        """Return litellm's whole name where only the API of OpenAI's was named."""
        return f"openai/{given}" if given.startswith(RESPONSES) else given

    @property
    def provider(self) -> str:
        """The litellm prefix, such as `openai`."""
        return self.model.partition("/")[0]

    @property
    def by_responses(self) -> bool:
        """Whether it is asked by OpenAI's Responses API because it is said so here."""
        return self.spec("").by_responses

    @property
    def is_ollama(self) -> bool:
        """Whether it is asked by Ollama's own API."""
        return providers.info(self.provider).wire == "ollama"

    @property
    def is_cloud(self) -> bool:
        """Whether it is an Ollama name that the server forwards to ollama.com."""
        return self.is_ollama and is_cloud_name(self.model)

    def care(self) -> MaintenancePolicy:
        """How the target is looked after between calls."""
        local = self.is_ollama
        health = (self.health or ("on" if local else "off")) != "off"
        recovery = self.health != "off"
        interval = self.probe_interval or (PROBE_LOCAL if local else PROBE_HOSTED)
        if not local:
            return MaintenancePolicy(health, interval=interval, recovery=recovery)
        # A cloud model is never loaded here: there is nothing to keep warm.
        warm = "never" if self.is_cloud else self.warm or "when-degraded"
        return MaintenancePolicy(health, warm, self.warm_timeout, self.pull, interval, recovery)

    def spec(self, name: str) -> Spec:
        """Return the endpoint as the providers want it."""
        provider, _, model = self.model.partition("/")
        if self.api == "responses":
            model = RESPONSES + model.removeprefix(RESPONSES)
        return Spec(
            name=name,
            model=f"{provider}/{model}",
            api_base=self.api_base,
            api_key=self.api_key.reveal(),
            key_variable=self.api_key.env,
            context=self.context,
            keep_alive=self.keep_alive,
            options=self.options,
            via=self.via,
        )


LOCAL_TIMEOUTS: Final = Timeouts(connect=5.0, first_token=120.0, between_tokens=60.0, total=600.0)
"""A local model may first have to be loaded, and is slow where the hardware is."""


def timeouts(target: TargetConfig) -> Timeouts:
    """The target's clocks: those given over the defaults of its kind."""
    base = LOCAL_TIMEOUTS if target.is_ollama else Timeouts()
    return Timeouts(**asdict(base) | target.timeout.given())
