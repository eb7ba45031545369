"""The ready-made hooks: what they look at in a message, and that they never download.

A stand-in plays Presidio, except in the last test, which is skipped where it is missing.
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from pilotlight import load
from pilotlight.errors import ConfigError
from tests.residency.guard import watched

NAMED = {
    "targets": {"local": {"model": "ollama/llama3.2"}},
    "routes": {"chat": {"targets": ["local"], "sensitive": "pilotlight.presidio:redact"}},
}
SECRET = re.compile("zebra")


class Recognizer:
    def __init__(self, **_):
        pass


class Registry:
    made = []

    def __init__(self, supported_languages):
        self.removed, self.added = [], []
        self.made.append(self)

    def load_predefined_recognizers(self, languages, engine):
        assert engine.loaded

    def remove_recognizer(self, name):
        self.removed.append(name)

    def add_recognizer(self, recognizer):
        self.added.append(recognizer)


class Engine:
    loaded = False

    def __init__(self, models, ner_model_configuration):
        self.models = models

    def load(self):
        self.loaded = True


class Analyzer:
    def __init__(self, registry, engine, supported_languages):
        pass

    def get_supported_entities(self, language):
        return ["PERSON", "URL"]

    def analyze(self, text, language, entities, score_threshold):
        assert entities == ["PERSON"]
        return [found.span() for found in SECRET.finditer(text)]


class Anonymizer:
    def anonymize(self, text, found):
        return SimpleNamespace(text=SECRET.sub("<PERSON>", text) if found else text)


def module(monkeypatch, name, **contents):
    made = ModuleType(name)
    made.__spec__ = SimpleNamespace(name=name)
    vars(made).update(contents)
    monkeypatch.setitem(sys.modules, name, made)


@pytest.fixture
def presidio(monkeypatch):
    """Return how to import the module over a stand-in that has these spaCy models."""
    monkeypatch.delitem(sys.modules, "pilotlight.presidio", raising=False)

    def imported(*models):
        installed = SimpleNamespace(is_package=lambda name: name in models)
        module(monkeypatch, "spacy", util=installed)
        module(
            monkeypatch,
            "presidio_analyzer",
            AnalyzerEngine=Analyzer,
            RecognizerRegistry=Registry,
            __path__=[],
        )
        nlp = {"NerModelConfiguration": Recognizer, "SpacyNlpEngine": Engine}
        module(monkeypatch, "presidio_analyzer.nlp_engine", **nlp)
        module(
            monkeypatch,
            "presidio_analyzer.predefined_recognizers",
            EmailRecognizer=Recognizer,
        )
        module(monkeypatch, "presidio_anonymizer", AnonymizerEngine=Anonymizer)
        return importlib.import_module("pilotlight.presidio")

    yield imported
    sys.modules.pop("pilotlight.presidio", None)


def user(content):
    return [{"role": "user", "content": content}]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def tool_call(argument):
    function = {"name": "f", "arguments": f'{{"who": "{argument}"}}'}
    call = {"id": "zebra-1", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    ("messages", "private", "sent"),
    [
        (user("hello"), False, user("hello")),
        (user("a zebra"), True, user("a <PERSON>")),
        (
            user([{"type": "text", "text": "a zebra"}]),
            True,
            user([{"type": "text", "text": "a <PERSON>"}]),
        ),
        (user([{"type": "text", "text": "hello"}, PICTURE]), True, True),
        (user([{"type": "text", "text": "x", "more": "zebra"}]), True, True),
        ([tool_call("nobody")], False, [tool_call("nobody")]),
        ([tool_call("zebra")], True, True),
        ([{"role": "user", "name": "zebra", "content": "hello"}], True, True),
        ([{"role": "user", "content": "hello", "extra": object()}], True, True),
        (user("a") + user("zebra"), True, user("a") + user("<PERSON>")),
    ],
)
def test_what_is_seen_of_a_message(presidio, messages, private, sent):
    hooks = presidio("en_core_web_sm")
    assert hooks.classify(messages) is private
    assert hooks.redact(messages) == sent


def test_what_would_fetch_a_list_of_domains_is_replaced(presidio):
    hooks = presidio("en_core_web_sm", "en_core_web_md")
    registry = Registry.made[-1]
    assert registry.removed == ["EmailRecognizer", "UrlRecognizer"]
    assert registry.added[0].validate_result("x@house.internal") is True
    assert hooks.MODELS[0] == "en_core_web_lg"


def test_a_model_that_is_missing_is_an_error_at_load_and_no_download(presidio):
    with pytest.raises(ConfigError, match="spacy download en_core_web_lg"):
        presidio()
    with pytest.raises(ConfigError, match=r"routes\.chat\.sensitive: Presidio needs a spaCy model"):
        load(NAMED)


@pytest.mark.parametrize("missing", ["presidio_analyzer", "presidio_anonymizer"])
def test_without_the_extra_the_error_names_it(presidio, monkeypatch, missing):
    presidio("en_core_web_sm")
    monkeypatch.delitem(sys.modules, "pilotlight.presidio")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError, match=r"routes\.chat\.sensitive: .*pilotlight\[presidio\]"):
        load(NAMED)


def test_the_real_presidio_reaches_for_no_network():
    pytest.importorskip("presidio_analyzer", reason="needs pilotlight[presidio]")
    sys.modules.pop("pilotlight.presidio", None)
    with watched() as guard:
        try:
            hooks = importlib.import_module("pilotlight.presidio")
        except ConfigError as error:
            pytest.skip(str(error))
        said = hooks.redact(user("I am John Smith, write to jane@corp.local, 4111 1111 1111 1111"))
        assert said == user("I am <PERSON>, write to <EMAIL_ADDRESS>, <CREDIT_CARD>")
        assert hooks.redact(user("Write a haiku about rain.")) == user("Write a haiku about rain.")
        assert not hooks.classify(user("Write a haiku about rain."))
    assert guard.address_mismatch == []
