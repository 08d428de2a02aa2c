"""`postgresql://…` to what the driver is given. No message of this module, or of the driver, shows a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from psycopg import Error, conninfo

from exporter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULTS: Final = {
    "target_session_attrs": "read-write",
    "connect_timeout": "2",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "2",
    "tcp_user_timeout": "4000",
    "application_name": "device-exporter",
}
"""What a URL may give otherwise: of several hosts the one that takes writes; a dead one is noticed within seconds."""
_HOST: Final = re.compile(r"[A-Za-z0-9_.:%/-]*")
_EXPECTED: Final = (
    "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE in one line, HOST:PORT perhaps several with commas between "
    "them; in the password write @ as %40, : as %3A, / as %2F, % as %25"
)


def parameters(url: str) -> dict[str, str]:
    """Return what to connect with. ConfigError, which says what is allowed."""
    try:
        given = {key: str(value) for key, value in conninfo.conninfo_to_dict(url).items()}
    except (Error, ValueError):
        raise ConfigError(f"storage.url: {_EXPECTED}") from None
    ports = [port for port in given.get("port", "").split(",") if port]
    usable = all(port.isascii() and port.isdigit() for port in ports) and _HOST.fullmatch(
        given.get("host", "").replace(",", "")
    )
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    # a part of an unescaped password, perhaps, or a second URL in a file of two lines: messages would show it
    if not usable or not url.isprintable() or "@" in path or "/" in path:
        raise ConfigError(f"storage.url: {_EXPECTED}")
    if not given.get("dbname"):
        raise ConfigError(f"storage.url: names no database; {_EXPECTED}")
    return {**_DEFAULTS, **given}


def place(given: Mapping[str, str]) -> str:
    """Return the database for people: where it is and who we are there."""
    hosts, ports = given.get("host", "the local server").split(","), given.get("port", "5432").split(",")
    where = ",".join(f"{host}:{ports[min(at, len(ports) - 1)]}" for at, host in enumerate(hosts))
    return f"database {given['dbname']} at {where}"


def hidden(error: Error, given: Mapping[str, str]) -> str:
    """Return what the driver or the server says on one line: no password, and nothing of the statement."""
    said = error.diag.message_primary or str(error)
    text = "; ".join(line.strip() for line in said.splitlines() if line.strip())
    password = given.get("password")
    return text.replace(password, "<secret>") if password else text
