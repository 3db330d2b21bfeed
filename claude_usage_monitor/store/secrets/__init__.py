"""Secrets of saved accounts: the system keyring or an encrypted file."""
