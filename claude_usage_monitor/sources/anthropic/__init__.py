"""Anthropic's services: the OAuth API, the token endpoint and the Admin API."""
