"""Subjects and the approval of a fan-out. Pure Python."""
