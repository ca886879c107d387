"""Owns: the register of cooperatives, partner institutions, accounts, API clients, signing keys.

Publishes: `registry.cooperative.*`, `registry.cooperatives.imported`, `registry.partner.*`.
Consumes: requests of persons, and what each service answers to them.
"""
