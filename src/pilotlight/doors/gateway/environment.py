"""The variables by which programs are pointed at a gateway on this machine.

Sources: the SDKs of OpenAI, Anthropic, Google and Ollama, each for Python and JavaScript, and
Claude Code's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HOST: Final = "127.0.0.1"
_NEAR: Final = (HOST, "localhost")
# They would lead a program past its base URL.
_AWAY: Final = (
    *("GOOGLE_GENAI_USE_VERTEXAI", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
    *("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"),
)


def environment_for(given: Mapping[str, str], port: int, key: str) -> dict[str, str]:
    """Return an environment in which programs ask the gateway; proxies are kept out of the way.

    Ollama's programs can be given an address only, so that one has the key in it.
    """
    root = f"http://{HOST}:{port}"
    kept = {name: value for name, value in given.items() if name not in _AWAY}
    bypass = {
        name: ",".join(dict.fromkeys([*filter(None, given.get(name, "").split(",")), *_NEAR]))
        for name in ("NO_PROXY", "no_proxy")
    }
    return {
        **kept,
        **bypass,
        "OPENAI_BASE_URL": f"{root}/v1",
        "OPENAI_API_BASE": f"{root}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": root,
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_AUTH_TOKEN": key,
        "GOOGLE_GEMINI_BASE_URL": root,
        "GEMINI_API_KEY": key,
        "GOOGLE_API_KEY": key,
        "OLLAMA_HOST": f"{root}/{key}",
    }
