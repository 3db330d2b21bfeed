"""The outside systems, one a module, read only: bytes in, ground types out, our errors raised."""
