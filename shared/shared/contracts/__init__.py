"""What services tell each other: one class per fact, declared once by the service that owns it."""
