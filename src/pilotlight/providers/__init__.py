"""The only rooms that touch a model."""
