"""What we keep: paths and settings."""
