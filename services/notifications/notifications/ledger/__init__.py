"""The ledger of a subject: every alert with state and reason, and who is kept back."""
