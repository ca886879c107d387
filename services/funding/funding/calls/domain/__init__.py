"""A funding call, its terms and its deadline. Pure Python: no database, no broker, no HTTP."""
