"""Routes by which operators observe a service: health, metrics, status, traces, audit, replays."""
