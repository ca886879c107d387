"""What services publish to each other: one class per event, declared once by the service that owns
it."""
