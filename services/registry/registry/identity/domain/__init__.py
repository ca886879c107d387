"""Accounts, API clients and signing keys, and the only ways they may change. Pure Python."""
