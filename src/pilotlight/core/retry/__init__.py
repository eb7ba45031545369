"""When the same target is asked again, and what pays for it."""
