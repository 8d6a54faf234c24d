"""What is known of a session: a fold of its events."""
