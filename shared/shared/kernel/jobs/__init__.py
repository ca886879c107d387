"""Jobs: work beside requests and messages, a runner for them, and claims on tables of work."""

from .claims import WorkQueue, claim, lease, settle
from .job import Job, work_off
from .runner import Runner

__all__ = ["Job", "Runner", "WorkQueue", "claim", "lease", "settle", "work_off"]
