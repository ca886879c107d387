"""Partner institutions: registered by operators, never changed."""
