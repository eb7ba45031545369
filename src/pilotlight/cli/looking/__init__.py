"""What `status`, `doctor` and `init` look at, and how that is told."""
