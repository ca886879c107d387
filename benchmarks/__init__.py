"""What Taawon costs beside the limit of the same machine, and beside other libraries, in one run.

Every row sets our own measure against a reference that was measured in the same run on the same
data, the two in turns, several times over; medians are compared. Nothing here is imported by the
platform.
"""
