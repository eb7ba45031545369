"""Cohere, asked in its own words."""
