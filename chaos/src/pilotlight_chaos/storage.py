"""Actions and probes for chaostoolkit: the store that processes share, and what is said of it.

The experiment says which one it is: `store: sqlite` or `store: redis` in its `configuration`.
"""

from __future__ import annotations

from .actions import begin, end
from .lab.current import current

MENDED = "store mended"
STORE = "store"


def hold_store() -> None:
    """Let the store answer nobody in time."""
    current().shared.hold()
    begin(f"{STORE}: held")


def lose_store() -> None:
    """Let the store be gone, with all that stood in it."""
    current().shared.lose()
    begin(f"{STORE}: lost")


def mend_store() -> None:
    """Let the store work again, empty if it was lost; sets the mark `store mended`."""
    world = current()
    world.shared.mend()
    end(STORE)
    world.mark(MENDED)


def store_outages() -> int:
    """Count how often it was said that the store is gone."""
    return sum(state == "gone" for _, state in current().notes.stores)


def store_back_after() -> float:
    """Return how many seconds after it was mended the store was said to be back; so far, if not."""
    world = current()
    mended = world.marks.get(MENDED)
    if mended is None:
        return 0.0
    said = (at for at, state in world.notes.stores if state == "back" and at >= mended)
    return round(min(said, default=world.now()) - mended, 2)
