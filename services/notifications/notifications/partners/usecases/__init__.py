"""What is done with subscriptions, feeds, partner queues and gaps."""
