"""Verifies tokens and makes of them the principal that calls."""
