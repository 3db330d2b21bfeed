"""AES-256-GCM with a key that HKDF derives from the machine's id, the user's id and a salt."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.secrets.machine import machine_id, user_id

_KEY_BYTES = 32
_SALT_BYTES = 32
_NONCE_BYTES = 12  # the standard length for GCM
_PURPOSE = b"claude-usage-monitor secrets 1"


class NotDecrypted(Exception):
    """Raised for data that is damaged, or was encrypted for another machine, user or context."""


class Encrypted(NamedTuple):
    """Encrypted data, its nonce, and the salt of its key."""

    salt: bytes
    nonce: bytes
    data: bytes


def encrypt(plain: bytes, context: bytes) -> Encrypted:
    """Encrypt data for this machine and user; decrypting it requires the same ``context``."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    return Encrypted(salt, nonce, _cipher(salt).encrypt(nonce, plain, context))


def decrypt(encrypted: Encrypted, context: bytes) -> bytes:
    """Return the plain data. Raises NotDecrypted."""
    try:
        cipher = _cipher(encrypted.salt)
        return cipher.decrypt(encrypted.nonce, encrypted.data, context)
    except (InvalidTag, ValueError, OverflowError):
        raise NotDecrypted from None


def _cipher(salt: bytes) -> AESGCM:
    derivation = HKDF(SHA256(), _KEY_BYTES, salt, _PURPOSE)
    return AESGCM(derivation.derive(machine_id() + b"\0" + user_id()))
