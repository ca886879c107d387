"""Reads of partners, feeds and the partner ledger."""
