"""What the README promises, measured: `python -m benchmarks` and `python -m benchmarks.peers`."""
