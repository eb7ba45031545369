"""How many calls a target carries at once, and who waits."""
