"""Subcommands of the kernel."""
