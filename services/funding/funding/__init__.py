"""Calls for projects, prizes and other offers that institutions open to cooperatives.

Owns: funding calls with their tracks, deadlines and conditions.
Publishes: funding.call.opened.v1, .updated.v1, .deadline_extended.v1, .closed.v1, .cancelled.v1.
Consumes: requests of persons.
"""
