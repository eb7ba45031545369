"""Closed and hosted models by way of litellm."""
