"""Subjects, their alerts, and an operator's control over a fan-out."""
