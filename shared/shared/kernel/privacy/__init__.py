"""What a person asks of a service: access, rectification, erasure."""
