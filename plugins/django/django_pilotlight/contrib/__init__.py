"""Integrations with other apps, each imported only by who uses it."""
