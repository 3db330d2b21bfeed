"""The tables of state.db, one module a group of tables."""
