"""Receipts at rest: kept in a file as calls end, read again, summed up and drawn.

    log          a listener: hands receipts to one daemon thread, which writes them
    files        the two kinds of file: JSONL and SQLite
    lines        one receipt as one line, and back
    store        reads a log, however it is broken
    summary      what a log tells of each route
    prices       what a call cost, by litellm's price map
    page · svg   the same as one HTML page

Off unless the configuration says `receipts = "..."`.  No prompt, answer or key is in it.
"""
