"""How LLM APIs speak: pure functions, JSON in and JSON out.

    written = anthropic_messages.write_request(request)      # a body, and what it can't carry
    answer = anthropic_messages.read_answer(said, written.asked)
    reader = anthropic_messages.reader(written.asked)         # the events of a stream
    chunks = reader.feed(event)

and for a caller who speaks it

    read = anthropic_messages.read_request(body)
    said = anthropic_messages.write_answer(answer)
    events = anthropic_messages.writer().feed(chunk)

Requests and answers are OpenAI's chat JSON in between, see `base`.  Nothing here does I/O,
reads a clock, or knows any other room.
"""
