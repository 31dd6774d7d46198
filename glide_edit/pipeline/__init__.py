"""The way of a request: planned, sampled, finished."""
