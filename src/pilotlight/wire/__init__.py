"""Bytes over sockets: connections, clocks, the record of what was said, and its limits."""
