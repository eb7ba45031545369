"""How long a target's model will be there, by everything that is known of it.

Merged, the first that speaks: the configuration's `retires`, the provider's own
list of models, the headers of its answers, litellm's table, and last the list of
names that are known to be gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from pilotlight.catalog import retired
from pilotlight.core.health.lifecycle import WARN_AT, Notice
from pilotlight.core.target import Target
from pilotlight.diagnosis.retirement_notices import notice_in_table


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the end of one target's model; `days` is None when nothing is.

    `near` says that it is time to act, `gone` that the end has come.
    """

    days: int | None = None
    day: date | None = None
    source: str = ""
    replacement: str | None = None

    @property
    def near(self) -> bool:
        """Whether the end is within the farthest warning mark."""
        return self.days is not None and self.days <= max(WARN_AT)

    @property
    def gone(self) -> bool:
        """Whether the end has come, by this source."""
        return self.days is not None and self.days <= 0

    def __str__(self) -> str:
        if self.days is None or self.day is None:
            return "no end announced"
        when = f"retired since {self.day}" if self.gone else f"{self.days} days left ({self.day})"
        return f"{when}, by {self.source}"


_SOURCES = {
    "configuration": "the configuration",
    "provider": "the provider's list of models",
    "header": "the provider's answers",
    "table": "litellm's table",
}


def outlook(target: Target, today: date | None = None) -> Outlook:
    """Return a target's outlook; litellm's table counts only where litellm is loaded."""
    today = today or datetime.now(UTC).date()
    if target.model.startswith("ollama"):
        return Outlook()  # what is on one's own disk stays
    notice: Notice | None = target.health.lifecycle.notice or notice_in_table(target.model)
    known = retired.lookup(target.model)
    if notice is not None:
        replacement = notice.replacement or (known.replacement if known else None)
        left = notice.days_left(today)
        return Outlook(left, notice.day, _SOURCES[notice.source], replacement)
    if known is None:
        return Outlook()
    since = date.fromisoformat(f"{known.since}-01-01"[:10])
    return Outlook(min(0, (since - today).days), since, known.source, known.replacement)
