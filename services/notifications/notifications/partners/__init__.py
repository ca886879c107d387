"""Partner institutions: subscriptions, feeds, partner queues, gaps."""
