"""The ledger of a subject: every recipient with state and reason."""
