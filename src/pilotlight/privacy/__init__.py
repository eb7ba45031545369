"""Where a prompt may go, and how a call is known to be sensitive."""
