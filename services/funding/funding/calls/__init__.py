"""A funding call from draft to its end."""
