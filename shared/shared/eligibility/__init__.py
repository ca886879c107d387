"""Who may take a track of a call: one pure evaluator that explains itself.

Its twin in SQL is `shared.eligibility.sql`, apart so that a domain may evaluate without a database.
"""

from .evaluate import completed_months, evaluate, excludes
from .explain import explain
from .verdict import UNKNOWN_FIELDS, Outcome, Rule, RuleResult, Verdict, fields_of, mask_of

__all__ = [
    "UNKNOWN_FIELDS",
    "Outcome",
    "Rule",
    "RuleResult",
    "Verdict",
    "completed_months",
    "evaluate",
    "excludes",
    "explain",
    "fields_of",
    "mask_of",
]
