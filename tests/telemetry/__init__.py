"""Telemetry, seen from where it arrives: exporters, readers and log handlers."""
