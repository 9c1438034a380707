"""The keys that seal the record: derived from ROLLOUT_SECRET_KEYS, so that there is one secret to keep.

Each is derived (HKDF, with a purpose of its own) from one of those keys: who learns a sealing key cannot read backups.
The first one seals; all of them verify, so that an old key is worth keeping as long as what it sealed has to be shown.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.secrets import KeyProblem

_SEAL: Final = b"rollout record: seal, version 1"
_NAME: Final = b"rollout record: name of the key, version 1"


class Keyring:
    """Seals with the first key, verifies with any. Without keys nothing can be sealed, and nothing verifies.

    Raises KeyProblem for a key that is not 32 url-safe base64 bytes.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._keys: dict[str, bytes] = {}
        for key in keys:
            raw = _decoded(key)
            self._keys.setdefault(_derived(raw, _NAME, 4).hex(), _derived(raw, _SEAL, 32))
        self._first = next(iter(self._keys), None)

    def __bool__(self) -> bool:
        return self._first is not None

    def knows(self, key_id: str) -> bool:
        """Whether that key is one of these."""
        return key_id in self._keys

    @property
    def first(self) -> str:
        """The id of the key that seals. Raises KeyProblem when there is none."""
        if self._first is None:
            raise KeyProblem("no key: make one with python app.py key")
        return self._first

    def seal(self, key_id: str, text: str) -> str:
        """The HMAC-SHA256 of ``text`` under that key, in hex. Raises KeyError for a key that is not here."""
        return hmac.new(self._keys[key_id], text.encode(), hashlib.sha256).hexdigest()

    def fits(self, key_id: str, text: str, digest: str) -> bool:
        """Whether ``digest`` is the seal of ``text`` under that key; False for a key that is not here."""
        return key_id in self._keys and hmac.compare_digest(self.seal(key_id, text).encode(), digest.encode())


def _decoded(key: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key.encode())
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise KeyProblem("a key is not 32 url-safe base64 bytes: make one with python app.py key")
    return raw


def _derived(raw: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(raw)
