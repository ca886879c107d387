"""Subscriptions, feeds, partner queues and the partner ledger over HTTP."""
