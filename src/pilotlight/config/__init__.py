"""The configuration: where it is found, how it is read, and how its mistakes are told."""
