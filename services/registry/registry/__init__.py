"""Owns: the register of cooperatives, partner institutions, accounts, API clients, signing keys.

Publishes: `registry.cooperative.*`, `registry.cooperatives.imported`, `registry.partner.*`,
`registry.person.*`.
Consumes: its own requests of persons, and the answers of every service to them.
"""
