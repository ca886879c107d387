"""What every service runs on: commands, HTTP, messaging, database, encryption, observability."""
