"""Real calls for a demonstration and for tests: bodies of `POST /calls`, each with a stable key.

What is known of them is public, and each call names its source; what no source says is marked as an
assumption (« hypothèse ») there. `real_calls` keeps the deadlines as they were published, most of
them long past; `replayed_calls` gives the same calls as new editions that can be opened today.
"""

from .editions import Seed, real_calls, replayed_calls

__all__ = ["Seed", "real_calls", "replayed_calls"]
