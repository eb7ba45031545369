"""OpenAI goes down and comes back; every call is answered.

Nothing leaves this machine: OpenAI and Ollama are both played by `pilotlight-chaos`
on a loopback address.  With your own key and your own Ollama, the two variables
with the addresses are all that goes away.
"""

import os
import tempfile
import time
from pathlib import Path

from openai import OpenAI

from pilotlight import failover, receipts
from pilotlight_chaos import ChaosServer


@failover("openai/gpt-4o", "ollama/llama3.2")
def summarise(text: str, *, target) -> str:
    reply = OpenAI(**target.openai_kwargs).chat.completions.create(
        model=target.model,
        messages=[{"role": "user", "content": f"Summarise: {text}"}],
    )
    return reply.choices[0].message.content


def show(number: int) -> None:
    """Make one call and print who answered, why not the first target, and the time."""
    with receipts() as log:
        summarise("Pilot lights are small flames.")
    receipt = log[0]
    reasons = [
        f"{each.target} {each.fault} ({each.status})" for each in receipt.attempts if each.fault
    ]
    reasons += [f"{each.target} {each.reason}" for each in receipt.skipped]
    why = f"because {', then '.join(reasons)}" if reasons else ""
    spent = receipt.duration * 1000
    print(f"call {number}  {receipt.served_by:15}  {spent:4.0f} ms  {why}".rstrip())


def main() -> None:
    """Play the outage."""
    with ChaosServer(models=["llama3.2"]) as server, tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "pilotlight.toml")
        config.write_text("[breaker]\nreset_timeout = 0.5   # seconds; the default is 16\n")
        os.environ["PILOTLIGHT_CONFIG"] = str(config)
        os.environ["OPENAI_API_KEY"] = "sk-not-a-real-key"
        os.environ["OPENAI_BASE_URL"] = f"{server.base('cloud')}/v1"
        os.environ["OLLAMA_HOST"] = server.base("house")

        summarise("The first call loads the SDK's lazy parts.")
        show(1)
        print("-- OpenAI goes down")
        server.fault("cloud", "overloaded")
        for number in range(2, 6):
            show(number)
        print("-- OpenAI is back")
        server.heal("cloud")
        show(6)
        time.sleep(0.6)  # the break ends
        show(7)


if __name__ == "__main__":
    main()
