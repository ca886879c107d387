"""A service process: its spec, the HTTP application, its lifespan, what runs beside requests."""
