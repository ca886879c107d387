"""Why a cooperative was alerted of a subject or was not, in the reader's language."""
