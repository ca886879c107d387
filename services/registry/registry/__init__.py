"""Owns: the register of cooperatives, partner institutions, accounts, API clients, signing keys.

Announces: `registry.cooperative.*`, `registry.cooperatives.imported`, `registry.partner.*`.
Listens to: requests of persons, and what each service answers to them.
"""
