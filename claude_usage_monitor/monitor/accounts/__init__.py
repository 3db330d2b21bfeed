"""The accounts of this user: registry, adding, renaming, removing."""
