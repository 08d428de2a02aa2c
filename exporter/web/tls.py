"""TLS settings in exporter-toolkit's words, made into Python's.

What Python's ssl module cannot do is refused rather than left out: unverified client certificates, more than one
curve, certificates within the configuration file.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from exporter.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CURVES: Final = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_CLIENT_AUTH: Final = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class TlsServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `tls_server_config`. Files are relative to the configuration file."""

    cert_file: str = ""
    key_file: str = ""
    client_auth_type: str = ""
    client_ca_file: str = ""
    client_allowed_sans: list[str] = []
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: list[str] = []
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[str] = []


def context(settings: TlsServer, directory: Path) -> ssl.SSLContext:
    """Return a server's context; ConfigError names the key below `tls_server_config`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = VERSIONS[settings.min_version]
    made.maximum_version = VERSIONS[settings.max_version]
    if made.minimum_version > made.maximum_version:
        raise ConfigError("min_version: is above max_version")
    _load_certificate(made, settings, directory)
    _set_client_auth(made, settings, directory)
    _set_ciphers(made, settings)
    return made


def _load_certificate(made: ssl.SSLContext, settings: TlsServer, directory: Path) -> None:
    for name in ("cert_file", "key_file"):
        if not getattr(settings, name):
            raise ConfigError(f"{name}: is missing; both cert_file and key_file are needed")
    try:
        made.load_cert_chain(directory / settings.cert_file, directory / settings.key_file)
    except ssl.SSLError as error:
        raise ConfigError(f"cert_file, key_file: no matching certificate and key in PEM: {error.reason}") from None
    except OSError as error:
        raise ConfigError(f"cert_file, key_file: cannot be read: {error.strerror}") from None


def _set_client_auth(made: ssl.SSLContext, settings: TlsServer, directory: Path) -> None:
    mode = _CLIENT_AUTH.get(settings.client_auth_type)
    if mode is None:
        usable = ", ".join(filter(None, _CLIENT_AUTH))
        raise ConfigError(f"client_auth_type: {settings.client_auth_type!r} is not supported; use one of {usable}")
    if mode is ssl.CERT_NONE:
        if settings.client_ca_file or settings.client_allowed_sans:
            raise ConfigError("client_auth_type: is needed where client_ca_file or client_allowed_sans is set")
        return
    if not settings.client_ca_file:
        raise ConfigError(f"client_ca_file: is needed for client_auth_type {settings.client_auth_type}")
    try:
        made.load_verify_locations(directory / settings.client_ca_file)
    except ssl.SSLError:
        raise ConfigError("client_ca_file: holds no certificate in PEM") from None
    except OSError as error:
        raise ConfigError(f"client_ca_file: cannot be read: {error.strerror}") from None
    made.verify_mode = mode


def _set_ciphers(made: ssl.SSLContext, settings: TlsServer) -> None:
    if settings.prefer_server_cipher_suites:
        made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    names = [_openssl_name(name) for name in settings.cipher_suites]
    older = [name for name in names if name]  # those of TLS 1.3 are always on, in Go, too
    if older:
        try:
            made.set_ciphers(":".join(older))
        except ssl.SSLError:
            raise ConfigError("cipher_suites: none of them is available here") from None
    if len(settings.curve_preferences) > 1:
        raise ConfigError("curve_preferences: only one curve can be set here")
    for name in settings.curve_preferences:
        if name not in _CURVES:
            raise ConfigError(f"curve_preferences: unknown curve {name!r}; use one of {', '.join(_CURVES)}")
        made.set_ecdh_curve(_CURVES[name])


_SUITE: Final = re.compile(
    r"TLS_(?:(?P<exchange>ECDHE_ECDSA|ECDHE_RSA|RSA)_WITH_)?"
    r"(?:AES_(?P<bits>128|256)_(?P<mode>GCM|CBC)_SHA(?P<sha>256|384)?|CHACHA20_POLY1305(?:_SHA256)?)"
)


def _openssl_name(name: str) -> str:
    """Return OpenSSL's name of Go's cipher suite; empty for one of TLS 1.3."""
    found = _SUITE.fullmatch(name)
    if found is None:
        raise ConfigError(f"cipher_suites: unknown suite {name!r}")
    if found["exchange"] is None:
        return ""
    exchange = "" if found["exchange"] == "RSA" else found["exchange"].replace("_", "-") + "-"
    if found["bits"] is None:
        return f"{exchange}CHACHA20-POLY1305"
    mode = "GCM-" if found["mode"] == "GCM" else ""
    return f"{exchange}AES{found['bits']}-{mode}SHA{found['sha'] or ''}"
