"""The process of a service: its spec, its HTTP application, its lifespan, its background work."""
