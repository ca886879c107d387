"""The in-app inbox of a cooperative."""
