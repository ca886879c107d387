"""What becomes of a person's request."""
