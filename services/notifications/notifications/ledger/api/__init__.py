"""Ledger and totals of a subject over HTTP."""
