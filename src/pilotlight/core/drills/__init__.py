"""Faults forced on purpose: in tests, and on game days."""
