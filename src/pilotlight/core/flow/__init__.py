"""The one road of a call: what happens next, who carries it out, and who writes it down."""
