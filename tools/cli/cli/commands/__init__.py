"""The operator's commands: each asks running services over HTTP, or reads the code."""
