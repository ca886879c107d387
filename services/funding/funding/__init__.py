"""Calls for projects, prizes and other offers that institutions open to cooperatives.

Owns: calls with their tracks, criteria and deadlines.
Publishes: funding.call.opened.v1, .updated.v1, .deadline_extended.v1, .closed.v1, .cancelled.v1,
funding.person.answered.v1.
Consumes: requests of persons.
"""
