"""What an attempt may cost and did cost: budgets are asked before it, and told after it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from pilotlight.core.flow.context import CallContext
from pilotlight.core.flow.steps import Outcome, Step, waiting
from pilotlight.core.provider import Answered, Ended, Failed
from pilotlight.core.requirements import estimate
from pilotlight.core.spending.ledger import Ledger, Reservation
from pilotlight.core.spending.price import Price, guessed
from pilotlight.core.target import Target
from pilotlight.errors import BudgetSpent, TargetSkipped

BUDGET: Final = "budget"  # the reason of a target that is skipped for one
ESTIMATED: Final = "cost_estimated"  # in the flags of an attempt
USUAL_ANSWER: Final = 1000  # tokens that are set aside for one without a limit of its own
_LIMITS: Final = ("max_completion_tokens", "max_tokens")


def spent_budget(ctx: CallContext, target: Target) -> TargetSkipped | None:
    """Return the refusal of a budget that has nothing left for this target; changes nothing."""
    for ledger in ctx.budgets:
        budget = ledger.budget
        if budget.then == "skip" and ledger.exhausted and budget.covers(target.name):
            return None if target.price().free else _skipped(target, ledger, budget.name)
    return None


def reserve(
    ctx: CallContext, target: Target, longest: Callable[[], float]
) -> Generator[Step, Outcome | None, tuple[Reservation, ...] | TargetSkipped]:
    """Set aside what an attempt may cost, of every budget that it is held to.

    It may wait for the store of a budget that processes share, `longest` seconds at most.
    Returns why the target is skipped if there is not enough; raises BudgetSpent where a budget
    wants the whole call refused.
    """
    ledgers = [each for each in ctx.budgets if each.budget.covers(target.name)]
    price = target.price()
    if not ledgers or (price.input == 0 and price.free):
        return ()
    held: list[Reservation] = []
    expected = _expected(ctx, price)
    try:
        for ledger in ledgers:
            budget = ledger.budget
            if expected is None and budget.unknown == "ignore":
                continue
            if expected is None and budget.unknown == "refuse":
                return _refused(ctx, target, ledger, f"{budget.name}: its price is not known")
            dollars = float(budget.unknown) if expected is None else expected
            reserved = ledger.reserve(dollars)
            if reserved is None:
                reserved = yield from _waited_for(ctx, ledger, dollars, longest)
            if reserved is None:
                return _refused(ctx, target, ledger, budget.name)
            held.append(reserved)
        made, held = tuple(held), []
        return made
    finally:
        for reserved in held:  # another budget had not enough
            reserved.release()


def _waited_for(
    ctx: CallContext, ledger: Ledger, dollars: float, longest: Callable[[], float]
) -> Generator[Step, Outcome | None, Reservation | None]:
    """Set it aside of a slice that is asked for; again, if other calls were quicker to take it."""
    until: float | None = None
    while (turn := ledger.turn(dollars)) is not None:
        now = ctx.clock()
        until = now + min(turn.patience, longest()) if until is None else until
        yield from waiting(turn, until - now)
        if (reserved := ledger.reserve(dollars)) is not None or ctx.clock() >= until:
            return reserved
    return None


def cost_of(
    ctx: CallContext, target: Target, outcome: Answered | Ended | Failed, seconds: float
) -> tuple[float | None, bool]:
    """Return what an attempt cost in US dollars, None if that is not known; and if it is a guess.

    A refusal costs nothing.  Of an answer that broke off, what was received is counted.
    """
    price = target.price()
    if not isinstance(outcome, Failed):
        images = 0
        if ctx.call.operation == "image" and isinstance(outcome, Answered):
            images = len(getattr(outcome.value, "images", ()))
        return price.cost(outcome.facts, seconds, images), False
    if not outcome.partial:
        return 0.0, False
    sent = estimate(ctx.call.messages, ctx.call.options)
    return price.cost(guessed(sent, outcome.partial), seconds), True


def settle(reserved: tuple[Reservation, ...], cost: float | None) -> None:
    """Tell the budgets what an attempt cost; None: as much as was set aside for it."""
    for each in reserved:
        each.settle(each.dollars if cost is None else cost)


def _expected(ctx: CallContext, price: Price) -> float | None:
    options = ctx.call.options
    sent, limit, choices = estimate(ctx.call.messages, options), USUAL_ANSWER, 1
    if options:
        limit = next((n for name in _LIMITS if type(n := options.get(name)) is int), limit)
        choices = n if type(n := options.get("n")) is int and n > 0 else 1
    images = choices if ctx.call.operation == "image" else 0
    return price.expected(sent, limit * choices, images)


def _refused(ctx: CallContext, target: Target, ledger: Ledger, why: str) -> TargetSkipped:
    if ledger.budget.then == "refuse":
        raise BudgetSpent(ledger.budget.name, ledger.renews_in, ctx.recorder.receipt())
    return _skipped(target, ledger, why)


def _skipped(target: Target, ledger: Ledger, why: str) -> TargetSkipped:
    return TargetSkipped(target.name, BUDGET, ledger.renews_in, why)
