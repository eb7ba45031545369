"""instructor: a pydantic model as the answer, from whoever is there to give it."""

import instructor
from openai import OpenAI
from pydantic import BaseModel
from stage import outage

import pilotlight


class Ticket(BaseModel):
    """What a customer wants."""

    subject: str
    urgent: bool


def main() -> None:
    """Read a ticket while OpenAI is down."""
    with outage(), pilotlight.receipts() as log:
        client = instructor.from_openai(
            pilotlight.guard(OpenAI(), fallback="ollama/llama3.2"),
            mode=instructor.Mode.JSON_SCHEMA,  # Ollama has schemas, but can't be made to use a tool
        )
        ticket = client.create(
            model="gpt-4o",
            response_model=Ticket,
            messages=[{"role": "user", "content": "The printer is on fire!"}],
        )
        print("ticket:  ", type(ticket).__name__, sorted(ticket.model_dump()))
        print("answered:", [receipt.served_by for receipt in log])


if __name__ == "__main__":
    main()
