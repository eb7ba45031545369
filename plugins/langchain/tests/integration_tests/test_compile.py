"""As LangChain's partner packages have it: that the tests here can be collected."""

import pytest


@pytest.mark.compile
def test_placeholder() -> None:
    pass
