"""Cooperatives, partners, accounts and the token issuer."""
