"""Other ways to the same alerts: one task per recipient, or per chunk, on the same servers."""
