"""Which route a caller means by the name of a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

OURS: Final = "pilotlight/"


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which the routes are known.

    `pilotlight/NAME` is always the route NAME; then holds what `table` says (a name may end
    in `*`, the longest that fits is taken), and a route's bare name.
    """

    routes: Collection[str]
    table: Mapping[str, str] = field(default_factory=dict)

    def route_of(self, model: str) -> str | None:
        """Return the route that a model name stands for, None for none."""
        model = model.removesuffix(":latest")  # Ollama's programs add it
        ours = model.removeprefix(OURS)
        if ours != model and ours in self.routes:
            return ours
        if (exact := self.table.get(model)) is not None:
            return exact
        if model in self.routes:
            return model
        fitting = [each for each in self.table if each[-1:] == "*" and model.startswith(each[:-1])]
        return self.table[max(fitting, key=len)] if fitting else None

    def told(self, allowed: Collection[str]) -> list[str]:
        """Return the names to show, of the allowed routes; none `allowed`: of all."""
        ours = [f"{OURS}{route}" for route in self.routes if not allowed or route in allowed]
        more = [
            name
            for name, route in self.table.items()
            if name[-1:] != "*" and (not allowed or route in allowed)
        ]
        return [*ours, *more]
