"""Python's type hints and docstrings as JSON schemas, and JSON data back into those types: it knows no session."""
