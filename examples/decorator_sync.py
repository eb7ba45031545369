"""`@failover` on a plain function, with litellm: answers are checked, time is bounded."""

import json
import os

from pilotlight import AllTargetsFailed, failover, preload, receipts
from pilotlight_chaos import ChaosServer


def is_json(text: str) -> bool:
    """Tell whether an answer is what we asked for."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@failover("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "ollama/llama3.2", total_timeout=10)
def translate(text: str, *, target) -> str:
    """Translate a text; runs once for each attempt."""
    import litellm

    reply = litellm.completion(
        **target.litellm_kwargs, messages=[{"role": "user", "content": f"In French: {text}"}]
    )
    return reply.choices[0].message.content


@failover("openai/gpt-4o-mini", "ollama/llama3.2", accept=is_json)
def extract(text: str, *, target) -> str:
    """Extract JSON; an answer that is none fails over."""
    import litellm

    reply = litellm.completion(
        **target.litellm_kwargs, messages=[{"role": "user", "content": f"As JSON: {text}"}]
    )
    return reply.choices[0].message.content


def says(ask) -> str:
    """What the played models answer: only the local one keeps to JSON."""
    if "JSON" in ask.last_user_text:
        return '{"flame": "small"}' if ask.name == "house" else "Sure! Here is your JSON."
    return f"bonjour from {ask.model}"


def main() -> None:
    """Play three calls."""
    preload().join()  # litellm takes seconds to import; a server does this while it starts
    with ChaosServer(models=["llama3.2"], reply=says) as server:
        os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "sk-not-a-real-key"
        os.environ["OPENAI_BASE_URL"] = f"{server.base('openai')}/v1"
        os.environ["ANTHROPIC_BASE_URL"] = server.base("anthropic")
        os.environ["OLLAMA_HOST"] = server.base("house")

        server.fault("openai", "rate_limit", retry_after=30)
        with receipts() as log:
            print("throttled:", translate("hello"))
        throttled = log[0].attempts[0]
        print(
            f"  {throttled.target} said: {throttled.fault}, again in {throttled.retry_after:.0f} s"
        )

        server.heal()
        print("not JSON: ", extract("the flame is small"))

        for name in ("openai", "anthropic", "house"):
            server.fault(name, "server_error")
        try:
            translate("hello")
        except AllTargetsFailed as failed:
            print("all down: ", "; ".join(map(str.strip, failed.message.splitlines()[1:])))


if __name__ == "__main__":
    main()
