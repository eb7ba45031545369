"""Pictures from a server of the user's own: what is asked, and how it answers."""
