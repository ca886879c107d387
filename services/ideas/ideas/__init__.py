"""The bank of project ideas.

Owns: ideas, from the author's draft to the moderator's decision and the author's withdrawal.
Publishes: ideas.idea.published.v1, ideas.idea.withdrawn.v1, ideas.person.answered.v1.
Consumes: requests of persons.
"""
