"""Backups are encrypted at rest: they may hold Spark settings, environment variables and registry logins."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class KeyProblem(Exception):
    """The keys of the settings do not fit: wrong form, or an old backup cannot be read with them."""


def digest_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of the canonical text."""
    return hashlib.sha256(_canonical(content)).hexdigest()


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


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

    def seal(self, content: Mapping[str, Any]) -> bytes:
        """The ciphertext of what can be written as JSON."""
        return self._fernet.encrypt(_canonical(content))

    def open(self, ciphertext: bytes) -> dict[str, Any]:
        """The content again. Raises KeyProblem when no key fits."""
        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(ciphertext))
        except InvalidToken:
            raise KeyProblem("a backup was encrypted with a key that is no longer in ROLLOUT_SECRET_KEYS") from None
        return opened
