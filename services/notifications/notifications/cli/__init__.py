"""Commands of notifications: `taawon partner …` and `taawon why`."""
