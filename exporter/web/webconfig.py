"""`--web.config.file`: TLS, basic auth and headers of the admin listener, in exporter-toolkit's format.

The file and the files that it names are read again when one of them changes (`changed`), and on a reload. A file that
cannot be used is refused with its name and the place in it; what was loaded before stays in force.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from exporter.errors import ConfigError, Overloaded
from exporter.lib.yaml import BadYaml, parse_yaml
from exporter.web import answers
from exporter.web.basicauth import HASH, BasicAuth, Passwords
from exporter.web.tls import TlsServer, context

if TYPE_CHECKING:
    import ssl

    from aiohttp.typedefs import Handler, Middleware

_HEADER_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="Device Exporter", charset="UTF-8"'}
OWN_TOKENS: Final = "/api/v1/notify/"
"""Below this path handlers check a bearer token themselves."""
_OPEN: Final = frozenset({"/-/healthy", "/-/ready"})
"""Health checks have no password, and learn nothing but yes or no."""


class HttpServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `http_server_config`."""

    http2: bool = True
    """Taken for compatibility; HTTP/2 is not offered."""
    headers: dict[str, str] = {}


class WebConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, str] = {}


class WebConfigFile:
    """The file in force. `load` before use; ConfigError leaves what was loaded before."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._seen: tuple[object, ...] = ()
        self.config = WebConfig()
        self.tls: ssl.SSLContext | None = None
        self._passwords = Passwords()
        self._auth = BasicAuth({}, self._passwords)

    def load(self) -> None:
        """Read the file and all that it names."""
        self._seen = self._fingerprint(self.config)
        config = self._read()
        try:
            settings = config.tls_server_config
            tls = None if settings is None else context(settings, self._path.parent)
        except ConfigError as error:
            raise ConfigError(f"{self._path}: tls_server_config.{error}") from None
        self._check(config)
        if config.basic_auth_users != self.config.basic_auth_users:
            self._auth = BasicAuth(config.basic_auth_users, self._passwords)
        self.config, self.tls = config, tls
        self._seen = self._fingerprint(config)

    def changed(self) -> bool:
        """Return whether a file is another one than at the last `load`, be it that it failed."""
        return self._fingerprint(self.config) != self._seen

    async def set_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Set the configured headers; register it on an application's `on_response_prepare`."""
        response.headers.update(self.config.http_server_config.headers)

    def middleware(self) -> Middleware:
        """Return what lets only known users in."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self._allowed_name(request):
                return answers.error(403, "forbidden", "the client certificate has no allowed name")
            free = request.path.startswith(OWN_TOKENS) or request.path in _OPEN
            if self.config.basic_auth_users and not free:
                try:
                    known = await self._auth.allows(request.headers.get("Authorization", ""))
                except Overloaded as error:
                    return answers.error(503, error.code, str(error), {"Retry-After": answers.RETRY_AFTER})
                if not known:
                    return answers.http_error(401, _CHALLENGE)
            return await handler(request)

        return guard

    def _allowed_name(self, request: web.Request) -> bool:
        tls = self.config.tls_server_config
        if tls is None or not tls.client_allowed_sans:
            return True
        certificate = request.get_extra_info("peercert") or {}
        return any(value in tls.client_allowed_sans for _, value in certificate.get("subjectAltName", ()))

    def _read(self) -> WebConfig:
        try:
            values = parse_yaml(self._path.read_text("utf-8"))
            return msgspec.convert(values if values is not None else {}, WebConfig)
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be read: {error.strerror}") from None
        except (BadYaml, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._path}: {error}") from None
        except msgspec.ValidationError as error:
            what, _, place = str(error).partition(" - at `$.")
            raise ConfigError(f"{self._path}: {place.rstrip('`') + ': ' if place else ''}{what}") from None

    def _check(self, config: WebConfig) -> None:
        for user, hashed in config.basic_auth_users.items():
            if not HASH.fullmatch(hashed):
                raise ConfigError(f"{self._path}: basic_auth_users.{user}: is no bcrypt hash (htpasswd -nBC 10 {user})")
        for name, value in config.http_server_config.headers.items():
            place = f"{self._path}: http_server_config.headers.{name}"
            if name not in _HEADER_VALUES:
                raise ConfigError(f"{place}: cannot be set; known are {', '.join(_HEADER_VALUES)}")
            if _HEADER_VALUES[name] and value not in _HEADER_VALUES[name]:
                raise ConfigError(f"{place}: must be one of {', '.join(_HEADER_VALUES[name])}")
            if not value.isprintable():
                raise ConfigError(f"{place}: holds a control character")

    def _fingerprint(self, config: WebConfig) -> tuple[object, ...]:
        tls = config.tls_server_config or TlsServer()
        names = filter(None, (tls.cert_file, tls.key_file, tls.client_ca_file))
        return tuple(_state(path) for path in (self._path, *(self._path.parent / name for name in names)))


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
