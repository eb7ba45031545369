"""What is known of a target: how long it takes, what it has said, when its model ends."""
