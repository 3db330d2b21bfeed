"""The sections of the dashboard, one module each."""
