"""Accounts, API clients, linked identities, tokens and the keys that sign them."""
