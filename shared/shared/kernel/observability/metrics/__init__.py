"""Metrics of a process: counted where things happen, or read from the database at a scrape."""

from .counters import REFUSALS, after_commit, answered, refused, route_of
from .scrape import Measure, Scrape, gauge
from .text import CONTENT_TYPE, exposed

__all__ = [
    "CONTENT_TYPE",
    "REFUSALS",
    "Measure",
    "Scrape",
    "after_commit",
    "answered",
    "exposed",
    "gauge",
    "refused",
    "route_of",
]
