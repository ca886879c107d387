"""The codes that criteria, ideas and registers name, with their names, for everybody to read."""
