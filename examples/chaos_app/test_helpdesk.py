"""The application's own tests: six lines with `llm_chaos` in them.

`HELPDESK=NoFallback pytest examples/chaos_app` runs them against one of the bugs of `buggy.py`.
"""

import os

import buggy
import helpdesk
import pytest


@pytest.fixture
def desk(llm_chaos):
    wanted = os.environ.get("HELPDESK", "HelpDesk")
    return getattr(buggy, wanted, helpdesk.HelpDesk)()


@pytest.mark.llm_outage("openai")
def test_an_outage_is_not_noticed(desk, llm_chaos):
    llm_chaos.assert_survived(desk.answer("Where is my parcel?"))


def test_a_broken_stream_is_no_answer(desk, llm_chaos):
    llm_chaos.cut_stream(after=4)
    llm_chaos.assert_survived(desk.typed("Where is my parcel?"))


def test_records_stay_in_the_house(desk, llm_chaos):
    desk.summary("Patient 4711 has ...")
    llm_chaos.assert_stayed_local()
