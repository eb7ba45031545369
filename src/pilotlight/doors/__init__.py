"""The ways in: the decorator, and the drop-in for litellm."""
