"""The circuit breaker: its states, its window, its permits, and suspicion in front of it."""
