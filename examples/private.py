"""Private calls: nothing inside the block leaves the house, whatever fails."""

import pilotlight
from pilotlight_chaos import ChaosServer

MESSAGES = [{"role": "user", "content": "Patient 4711 has ..."}]


def main() -> None:
    """Make private calls with the local model up, down, and missing from the route."""
    with ChaosServer(models=["llama3.2"]) as server:
        app = pilotlight.load(
            {
                "targets": {
                    "gpt": {
                        "model": "openai/gpt-4o",
                        "api_base": f"{server.base('cloud')}/v1",
                        "api_key": "sk-not-a-real-key",
                    },
                    "local": {"model": "ollama/llama3.2", "api_base": server.base("house")},
                },
                "routes": {
                    "chat": {"targets": ["gpt", "local"]},
                    "closed_only": {"targets": ["gpt"]},
                },
            }
        )
        with pilotlight.private():
            answer = app.route("chat").complete(MESSAGES)
            skipped = answer.receipt.skipped[0]
            print(
                f"{answer.served_by} answered; {skipped.target} was passed over: {skipped.reason}"
            )

            server.fault("house", "crash")
            try:
                app.route("chat").complete(MESSAGES)
            except pilotlight.AllTargetsFailed as failed:
                why = map(str.strip, failed.message.splitlines()[1:])
                print("local model down:", "; ".join(why))

            try:
                app.route("closed_only").complete(MESSAGES)
            except pilotlight.ConfigError as error:
                print("no local target:", str(error).partition(";")[0])
        print("requests that reached the closed API:", server.hits("cloud"))


if __name__ == "__main__":
    main()
