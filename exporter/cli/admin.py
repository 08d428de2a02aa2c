"""The one HTTP client of the command line, for a running exporter's listeners.

It goes straight to the address it is given: no proxy and no redirect ever sees a password. What goes wrong is an
ExporterError of one sentence, with the exporter's own words where it refuses.
"""

from __future__ import annotations

import base64
import getpass
import ssl
import sys
from contextlib import contextmanager
from http.client import HTTPException
from os import environ
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

import msgspec

from exporter.config.secret import read_secret
from exporter.errors import ConfigError, ExporterError
from exporter.lib.address import split_url
from exporter.lib.safe_text import one_line
from exporter.lib.times import zone_of
from exporter.web.api_types import STATUS_PATH, Status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

_Kind = TypeVar("_Kind")

DEFAULT_URL: Final = "http://127.0.0.1:9877"
TIMEOUT: Final = 30.0
_VARIABLES: Final = {
    "url": "EXPORTER_ADMIN_URL",
    "web_user": "EXPORTER_ADMIN_USER",
    "web_password_file": "EXPORTER_ADMIN_PASSWORD_FILE",
    "web_token_file": "EXPORTER_ADMIN_TOKEN_FILE",
    "web_ca_file": "EXPORTER_ADMIN_CA_FILE",
}


def add_admin_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `admin` reads."""
    group = parser.add_argument_group("the running exporter")
    for name, metavar, text in (
        ("url", "URL", f"its admin listener (default: {DEFAULT_URL})"),
        ("web.user", "NAME", "who logs in where the listener has basic auth"),
        ("web.password-file", "FILE", "that user's password; without it a terminal asks"),
        ("web.token-file", "FILE", "a bearer token for a proxy in front of the listener"),
        ("web.ca-file", "FILE", "whom to trust where the listener has a certificate of its own"),
    ):
        key = name.replace(".", "_").replace("-", "_")
        group.add_argument(f"--{name}", dest=key, metavar=metavar, help=f"{text}; {_VARIABLES[key]}")


def admin(args: argparse.Namespace) -> Client:
    """Return the client that flags and environment describe. Raises ConfigError."""
    given = {key: getattr(args, key, None) or environ.get(variable) for key, variable in _VARIABLES.items()}
    return Client(
        given["url"] or DEFAULT_URL,
        _credentials(given["web_user"], given["web_password_file"], given["web_token_file"]),
        _context(given["web_ca_file"]),
    )


class Refusal(msgspec.Struct, frozen=True):
    """What the exporter answers where it refuses."""

    error: str


class Client:
    """Talks to one URL. `headers` go with each request."""

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        """Raise ConfigError for a URL that cannot be used."""
        self.url = _checked(url)
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._opener = _straight(context)

    def get(self, path: str, kind: type[_Kind], query: Mapping[str, str] | None = None) -> _Kind:
        """Return an answer, read as a type."""
        return self._read(self.send("GET", _with_query(path, query)), kind)

    def post(self, path: str, body: msgspec.Struct, kind: type[_Kind]) -> _Kind:
        """Send a body as JSON; return the answer."""
        return self._read(self.send("POST", path, msgspec.json.encode(body)), kind)

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return an answer's body."""
        with self.stream(path, body=body, method=method) as answer:
            content: bytes = answer.read()
            return content

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, str] | None = None, *, body: bytes | None = None, method: str = "GET"
    ) -> Iterator[IO[bytes]]:
        """Give an answer that may be long."""
        target = self.url + _with_query(path, query)
        request = Request(target, body, self._headers, method=method)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                yield answer
        except BrokenPipeError:
            raise  # whoever reads what we write has gone
        except HTTPError as error:
            with error:
                raise ExporterError(_refusal(error, self.url)) from error
        except URLError as error:
            raise ExporterError(f"{self.url}: {_reason(error.reason)}") from error
        except (TimeoutError, ConnectionError, HTTPException) as error:
            raise ExporterError(f"{self.url}: {_reason(error)}") from error

    def zone(self) -> ZoneInfo:
        """Return the time zone in which the exporter's people read times."""
        return zone_of(self.get(STATUS_PATH, Status).timezone)

    def _read(self, content: bytes, kind: type[_Kind]) -> _Kind:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError:
            raise ExporterError(f"{self.url} does not answer as an exporter of this version") from None


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="", errors="surrogateescape")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Follow nothing."""


def _straight(context: ssl.SSLContext | None) -> OpenerDirector:
    return build_opener(ProxyHandler({}), _NoRedirect, HTTPSHandler(context=context))


def _with_query(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query, errors='surrogateescape')}" if query else path


def _checked(url: str) -> str:
    parts, usable = split_url(url)
    if not usable or not url.isascii():
        raise ConfigError(f"--url: expected http:// or https:// and a host, got {url!r}")
    if parts.username is not None:
        raise ConfigError("--url: a password does not belong into a URL: give --web.user and --web.password-file")
    return url.rstrip("/")


def _credentials(user: str | None, password_file: str | None, token_file: str | None) -> dict[str, str]:
    if token_file and (user or password_file):
        raise ConfigError("give --web.user or --web.token-file, not both")
    if password_file and not user:
        raise ConfigError("--web.password-file needs --web.user")
    if token_file:
        return {"Authorization": f"Bearer {_secret('token', token_file)}"}
    if not user:
        return {}
    password = _secret("password", password_file) if password_file else _asked(user)
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def _secret(name: str, file: str) -> str:
    try:
        return read_secret(Path(file))
    except ValueError as error:
        raise ConfigError(f"--web.{name}-file: {error}") from None


def _asked(user: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError("--web.user needs --web.password-file where no terminal can ask for the password")
    return getpass.getpass(f"Password of {user}: ")


def _context(ca_file: str | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = "is no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"--web.ca-file: {ca_file}: {reason}") from None


def _refusal(error: HTTPError, url: str) -> str:
    if error.code == 401:
        return f"{url} wants a user and a password that it knows: give --web.user and --web.password-file"
    if 300 <= error.code < 400:
        return f"{url} sends elsewhere, to {error.headers.get('Location', '?')}: give that as --url"
    try:
        return msgspec.json.decode(error.read(10_000), type=Refusal).error
    except (msgspec.DecodeError, OSError, HTTPException):
        return f"{url}: {error.code} {error.reason}"


def _reason(error: object) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; --web.ca-file names whom to trust"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; EXPORTER_ADMIN_URL or --url says where the admin listener is"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:.0f}s"
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return one_line(f"no HTTP as expected: {str(error) or type(error).__name__}")
