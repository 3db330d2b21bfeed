"""Use-cases: which credential, which source, how often."""
