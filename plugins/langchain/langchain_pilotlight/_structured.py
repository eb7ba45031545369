"""Structured output, asked for in OpenAI's shape: every vendor's class makes its own of that."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Literal, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass

Method = Literal["json_schema", "function_calling", "json_mode"]


def usual(models: Sequence[BaseChatModel]) -> Method:
    """Return the method that the models' classes all take by default, or else a tool call."""
    found = {_default(type(model)) for model in models}
    return found.pop() if len(found) == 1 else "function_calling"


def _default(kind: type[BaseChatModel]) -> Method:
    parameter = inspect.signature(kind.with_structured_output).parameters.get("method")
    default: Any = None if parameter is None else parameter.default
    return default if default in get_args(Method) else "function_calling"


def held_to(
    model: BaseChatModel,
    schema: dict[str, Any] | type,
    method: Method,
    *,
    include_raw: bool,
    strict: bool | None,
) -> Runnable[Any, Any]:
    """Return the model with answers in JSON, parsed."""
    described = convert_to_json_schema(schema, strict=strict)
    inner = {"name": described.get("title", "answer"), "schema": described}
    if strict is not None:
        inner["strict"] = strict
    wanted = {"type": "json_schema", "json_schema": inner}
    bound = model.bind(
        response_format={"type": "json_object"} if method == "json_mode" else wanted,
        ls_structured_output_format={
            "kwargs": {"method": method, "strict": strict},
            "schema": described,
        },
    )
    parser: Runnable[Any, Any] = JsonOutputParser()
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        parser = PydanticOutputParser(pydantic_object=schema)
    if not include_raw:
        return bound | parser
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound) | parsed.with_fallbacks([failed], exception_key="parsing_error")
