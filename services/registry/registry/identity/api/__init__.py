"""Accounts, API clients and the token issuer over HTTP."""
