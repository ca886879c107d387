"""What every HTTP API shares: requests, bodies, parameters, problems, limits."""
