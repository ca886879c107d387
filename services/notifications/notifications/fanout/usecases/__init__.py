"""From an event to its alerts: decide, gate, apply."""
