"""What an operator asks a running system: how it stands, what is wrong, where an event went."""
