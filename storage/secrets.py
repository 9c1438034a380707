"""Backups are encrypted at rest: they may hold Spark settings, environment variables and registry logins."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class KeyProblem(Exception):
    """The keys of the settings do not fit: wrong form, or an old backup cannot be read with them."""


class Vault:
    """Encrypts with the first key, decrypts with any (old keys stay while backups need them).

    Raises KeyProblem when a key is not 32 url-safe base64 bytes, or when there is none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise KeyProblem("no key: make one with python app.py key")
        try:
            self._fernet = MultiFernet([Fernet(k.encode()) for k in keys])
        except ValueError as error:
            raise KeyProblem("a key is not 32 url-safe base64 bytes: make one with python app.py key") from error

    def seal(self, raw: Mapping[str, Any]) -> tuple[bytes, str]:
        """The ciphertext of a raw configuration, and the SHA-256 of its canonical text."""
        text = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()
        return self._fernet.encrypt(text), hashlib.sha256(text).hexdigest()

    def open(self, ciphertext: bytes) -> dict[str, Any]:
        """The raw configuration again. Raises KeyProblem when no key fits."""
        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(ciphertext))
        except InvalidToken:
            raise KeyProblem("a backup was encrypted with a key that is no longer in ROLLOUT_SECRET_KEYS") from None
        return opened
