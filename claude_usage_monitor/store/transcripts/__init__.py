"""transcripts.db: the counts in Claude Code's transcripts, and what used each window."""
