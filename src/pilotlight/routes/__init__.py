"""A route and its calls: what is asked, by which rules, and what comes back."""
