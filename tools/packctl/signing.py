"""Keys of owners and signatures of update files (SAF-06); needs the part `update` of this package.

A private key is a PEM file (PKCS 8) as OpenSSL makes it too: openssl genpkey -algorithm ed25519
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .errors import BadKey, NotInstalled
from .package import Package


def _library() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise NotInstalled("Signing needs the part 'update' of packctl: pipx install "
                           "'packctl[update]', or in a clone pipx install '.[update]'.") from None
    return serialization, ed25519


def _private(path: str | Path) -> Any:
    serialization, ed25519 = _library()
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    except OSError as error:
        raise BadKey(f"The key {path} cannot be read: {error.strerror}.") from None
    except (TypeError, ValueError):
        raise BadKey(f"{path} holds no private key without a password, in PEM form.") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise BadKey(f"The key {path} is no Ed25519 key.")
    return key


def public_of(path: str | Path) -> bytes:
    """The public key, 32 bytes, that belongs to the private one in *path*."""
    return bytes(_private(path).public_key().public_bytes_raw())


def make_key(path: str | Path) -> bytes:
    """Write a new private key to *path*, readable by its owner alone; returns the public one."""
    serialization, ed25519 = _library()
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(text)
    except OSError as error:
        raise BadKey(f"The key {path} cannot be written: {error.strerror}.") from None
    return bytes(key.public_key().public_bytes_raw())


def sign(package: Package, path: str | Path) -> bytes:
    """Sign *package* with the private key in *path*; returns the public key."""
    key = _private(path)
    package.signature = key.sign(package.digest)
    return bytes(key.public_key().public_bytes_raw())


def is_signed_by(package: Package, public: bytes) -> bool:
    """Whether the signature of *package* was made with the key that belongs to *public*."""
    _, ed25519 = _library()
    from cryptography.exceptions import InvalidSignature
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(package.signature,
                                                                  package.digest)
    except (InvalidSignature, ValueError):
        return False
    return True
