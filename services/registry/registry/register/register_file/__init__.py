"""Reading register files: every wrong row is reported, every good one is handed on."""
