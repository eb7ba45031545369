"""`guard` round the openai SDK's own client: the provider goes down, the code stays as it is."""

import os

from openai import OpenAI

from pilotlight import guard, receipts
from pilotlight_chaos import ChaosServer

QUESTION = [{"role": "user", "content": "hello"}]


def main() -> None:
    """Play a call, a stream and an outage."""
    with ChaosServer(models=["llama3.2"]) as server:
        os.environ["OLLAMA_HOST"] = server.base("house")
        client = guard(
            OpenAI(api_key="sk-not-a-real-key", base_url=f"{server.base('openai')}/v1"),
            fallback="ollama/llama3.2",
        )

        answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
        print("well:  ", answer.choices[0].message.content)

        server.fault("openai", "server_error")
        with receipts() as log:
            answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
            print("down:  ", answer.choices[0].message.content)
            stream = client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
            print("stream:", "".join(c.choices[0].delta.content or "" for c in stream if c.choices))
            raw = client.chat.completions.with_raw_response.create(
                model="gpt-4o", messages=QUESTION
            )
        print("asked: ", [attempt.target for attempt in log[0].attempts])
        print("header:", raw.headers["x-pilotlight-served-by"])


if __name__ == "__main__":
    main()
