"""The tables of accounts.db: saved accounts and the state of their token refreshes."""
