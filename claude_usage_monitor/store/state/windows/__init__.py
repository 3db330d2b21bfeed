"""Window instances and what happened in them: history, hits, forecasts, use."""
