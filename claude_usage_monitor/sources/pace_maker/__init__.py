"""Claude Pace Maker's folder and database, read-only."""
