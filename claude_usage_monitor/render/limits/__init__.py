"""The rows of limits: their texts, bars and lines."""
