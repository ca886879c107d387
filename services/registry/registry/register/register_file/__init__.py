"""Reads register files as they come: every wrong row is reported, every good one is handed on."""
