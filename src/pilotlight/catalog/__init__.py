"""What is known of providers and models before anybody is asked."""
