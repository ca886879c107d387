"""`taawon` for operators: how the system stands, what is wrong, and the generated pages."""
