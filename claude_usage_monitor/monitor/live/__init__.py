"""Live mode: the poller and the accounts it displays."""
