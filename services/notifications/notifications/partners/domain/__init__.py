"""Subscriptions and partner queues. Pure Python."""
