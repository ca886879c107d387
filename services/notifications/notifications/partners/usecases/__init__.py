"""What becomes of subscriptions, feeds, partner queues and gaps."""
