"""When a prompt counts as cut by the server, and above all when not."""

from __future__ import annotations

import pytest

from pilotlight.catalog.providers import Spec
from pilotlight.core.provider import Call
from pilotlight.providers.connection import Connection
from pilotlight.providers.ollama.context import asked_context, cut

CONTEXT = 1000


def call(text, **options):
    return Call("chat", [{"role": "user", "content": text}], options)


@pytest.mark.parametrize(
    ("text", "read", "is_cut"),
    [
        ("word " * 950, 900, True),  # an English text of 1200 tokens
        ("word " * 950, 1000, False),  # every word was read
        ("word " * 950, None, False),  # the server does not say
        ("word " * 950, 0, False),
        ("word " * 600, 12, False),  # fits: the rest was in an old server's cache
        ("   " * 3000 + "word " * 500, 400, False),  # table columns, cached
        ("considerable." * 500, 400, True),
        (" " * 100_000, 30, False),  # a few tokens of spaces
        ("word " * 5000, 998, True),  # admitted by a door that knows no messages
    ],
)
def test_a_cut_prompt(text, read, is_cut):
    error = cut(call(text), CONTEXT, "local", read)
    assert (error is not None) == is_cut
    if error is not None:
        assert (error.read, error.target) == (read, "local")
        assert error.estimated > 1000


def test_who_asks_for_it_may_have_his_prompt_cut():
    asked = call("word " * 5000, truncate=True)
    room = asked_context(CONTEXT, {}, asked.options)
    assert cut(asked, room, "local", 998) is None


@pytest.mark.parametrize(
    ("given", "context"),
    [
        ({}, 1000),
        ({"temperature": 1}, 1000),
        ({"num_ctx": 2000}, 2000),
        ({"num_ctx": 2000, "extra_body": {"num_ctx": 3000}}, 3000),
        ({"num_ctx": 2000, "options": {"num_ctx": 4000}}, 4000),
        ({"extra_body": {"options": {"num_ctx": 5000}}}, 5000),
        ({"extra_body": "odd", "options": 3}, 1000),
        ({"truncate": True}, None),
        ({"truncate": False}, 1000),
        ({"num_ctx": "odd"}, None),
    ],
)
def test_the_context_that_is_asked_for(given, context):
    assert asked_context(CONTEXT, {}, given) == context
    assert asked_context(CONTEXT, given, {}) == context


def test_the_default():
    assert Connection(Spec("local", "ollama/llama3.2")).context == 8192


@pytest.mark.parametrize(
    ("context", "options", "room"),
    [
        (16384, {}, 4096),  # the server caps it without a word
        (2048, {}, 2048),
        (None, {}, 4096),
        (None, {"num_ctx": 131_072}, 4096),
        (16384, {"truncate": True}, None),
    ],
)
def test_no_prompt_has_more_room_than_the_model_was_made_for(context, options, room):
    connection = Connection(Spec("local", "ollama/llama3.2", context=context))
    connection.training_context = 4096
    assert connection.room(options) == room
    assert connection.window() == min(context or 8192, 4096)
