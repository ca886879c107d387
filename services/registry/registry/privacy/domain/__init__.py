"""The rules of requests of persons, and whose the records are that are found for one."""
