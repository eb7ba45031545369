"""Calls that go to their target in the caller's own words, and whose answers come back so."""
