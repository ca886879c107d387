"""How events travel: outbox, relay, topic exchange, one queue per consumer, inbox, dead letters."""
