"""The fixture `override_llm`, for who tests with pytest; known to pytest by its entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django_pilotlight.testing import override_llm as Override  # noqa: N812


@pytest.fixture
def override_llm() -> Iterator[Callable[..., Override]]:
    """Let the models follow a script until the test's end: `override_llm(fail="openai")`."""
    with ExitStack() as stack:

        def begin(*args: Any, **kwargs: Any) -> Override:
            from django_pilotlight.testing import override_llm

            return stack.enter_context(override_llm(*args, **kwargs))

        yield begin
