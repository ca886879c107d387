"""Reads of subjects, alerts and fan-out approvals."""
