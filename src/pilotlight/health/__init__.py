"""The health of targets beside the calls: checks, warm-up, lifecycle."""
