"""Recorded calls, played under another policy.

    settings     the configuration to play under: the file's, the log's, and `--set`
    engine       the real flow, breakers and queues, on a clock that is moved by hand
    tally        the numbers of each side

What is played is what happened: each target fails and answers as it did.  What may differ
is whom the policy asks, and when.
"""
