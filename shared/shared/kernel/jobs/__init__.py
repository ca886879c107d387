"""Work beside requests and messages: one loop for all of it, and claims on queue-like tables."""

from .claims import WorkQueue, claim, lease, settle
from .job import Job, work_off
from .runner import Runner

__all__ = ["Job", "Runner", "WorkQueue", "claim", "lease", "settle", "work_off"]
