"""The way out: what is sent is checked, numbered, put in order and confirmed."""
