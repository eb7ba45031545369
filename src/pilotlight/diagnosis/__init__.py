"""What went wrong: a fault, found from bytes and exceptions."""
