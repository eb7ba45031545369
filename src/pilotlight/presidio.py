"""Ready-made `sensitive` functions by Microsoft Presidio: the extra `pilotlight[presidio]`.

    sensitive = "pilotlight.presidio:classify"    # a call that names a person stays private
    sensitive = "pilotlight.presidio:redact"      # `<PERSON>`, `<EMAIL_ADDRESS>` are sent instead

For English.  Importing this module loads the spaCy model, which takes a second or more;
nothing is ever downloaded: no model, and no list of domains for the addresses.  Another
language or other entities are a function of your own, as short as these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pilotlight import extras
from pilotlight.errors import ConfigError

MODELS: Final = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")  # the first that is here
THRESHOLD: Final = 0.4  # of a hit; below are patterns such as "any nine digits"
NOT_SENSITIVE: Final = frozenset({"DATE_TIME", "URL"})  # by themselves they name nobody
LANGUAGE: Final = "en"

Message = Mapping[str, Any]


def classify(messages: Sequence[Message]) -> bool:
    """Tell whether the messages name a person, an address, a number of theirs, or can't be read.

    A picture, a sound or a file can't be read, so its call is private.
    """
    return any(
        text is None or _found(text) for message in messages for text in _everything(message)
    )


def redact(messages: Sequence[Message]) -> list[dict[str, Any]] | bool:
    """Return the messages with `<PERSON>`, `<EMAIL_ADDRESS>`, ... in place of what was found.

    True (the call is private) where that can't be done: for a picture, a sound or a file,
    and for a hit outside of the text, as in the arguments of a tool call.
    """
    beside = [dict(message) | {"content": _no_text(message.get("content"))} for message in messages]
    if classify(beside):
        return True
    return [dict(message) | {"content": _clean(message.get("content"))} for message in messages]


def _no_text(content: Any) -> Any:
    return [part for part in content if not _is_text(part)] if isinstance(content, list) else None


def _clean(content: Any) -> Any:
    if isinstance(content, str):
        return _redacted(content)
    if isinstance(content, list):
        return [
            part | {"text": _redacted(part["text"])} if _is_text(part) else part for part in content
        ]
    return content


def _everything(message: Message) -> Iterator[str | None]:
    """Yield every text of a message, wherever it stands; None for what is no text."""
    for key, value in message.items():
        if key == "content" and isinstance(value, list):
            for part in value:
                yield part["text"] if _is_text(part) else None
        elif key not in ("role", "type", "id", "tool_call_id"):
            yield from _texts(value)


def _texts(value: Any) -> Iterator[str | None]:
    match value:
        case str():
            yield value
        case Mapping():
            yield from _everything(value)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)
        case None | bool() | int() | float():
            return
        case _:
            yield None


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, Mapping) and part.get("type") == "text" and set(part) <= {"type", "text"}
    )


def _found(text: str) -> list[Any]:
    return list(_ANALYZER.analyze(text, LANGUAGE, _ENTITIES, score_threshold=THRESHOLD))


def _redacted(text: str) -> str:
    return str(_ANONYMIZER.anonymize(text, _found(text)).text)


def _analyzer() -> Any:
    """Return Presidio's engine, made so that it can't reach for the network."""
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import EmailRecognizer

    class Address(EmailRecognizer):  # type: ignore[misc]
        """Takes every address: the original fetches the list of the world's domains first."""

        def validate_result(self, pattern_text: str) -> bool:
            return True

    model = next(filter(spacy.util.is_package, MODELS), None)
    if model is None:  # Presidio would download one
        raise ConfigError(
            "Presidio needs a spaCy model, and none is installed: "
            f"python -m spacy download {MODELS[0]}"
        )
    ignored = ["ORGANIZATION", "ORG"]  # as Presidio's own configuration: too many are none
    engine = SpacyNlpEngine(
        models=[{"lang_code": LANGUAGE, "model_name": model}],
        ner_model_configuration=NerModelConfiguration(labels_to_ignore=ignored),
    )
    engine.load()
    registry = RecognizerRegistry(supported_languages=[LANGUAGE])
    registry.load_predefined_recognizers([LANGUAGE], engine)
    for name in ("EmailRecognizer", "UrlRecognizer"):
        registry.remove_recognizer(name)
    registry.add_recognizer(Address())
    return AnalyzerEngine(registry, engine, supported_languages=[LANGUAGE])


def _anonymizer() -> Any:
    from presidio_anonymizer import AnonymizerEngine

    return AnonymizerEngine()


for _package in ("presidio_analyzer", "presidio_anonymizer"):
    if not extras.installed(_package):
        raise extras.missing(_package, "presidio", "pilotlight.presidio")
_ANALYZER: Final = _analyzer()
_ENTITIES: Final = sorted(set(_ANALYZER.get_supported_entities(LANGUAGE)) - NOT_SENSITIVE)
_ANONYMIZER: Final = _anonymizer()
