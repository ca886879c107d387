"""`taawon` for operators: how the system stands, what is wrong, where an event went; and the generated pages."""
