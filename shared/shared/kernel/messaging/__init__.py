"""How facts travel: outbox, relay, topic exchange, one queue per reaction, inbox, dead letters."""
