"""The audience: the register as notifications needs it, with every version it ever had."""
