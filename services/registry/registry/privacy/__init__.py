"""What a person asks for: access, rectification, erasure, and the services' answers."""
