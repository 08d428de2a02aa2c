"""The configuration: what was asked for, checked as a whole, with every secret read.

Guarantees: `load` either returns a configuration that every part can use as it is, or raises a ConfigError that
names the place, the path and what is allowed. It reads the files that are named and nothing else, so that a reload is
one more call. Precedence: flag over environment over file over default.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config.build import Builder
from exporter.config.checks import Checks
from exporter.config.describe import describe, digest
from exporter.config.errors import Origins
from exporter.config.schema import Config, Secret
from exporter.config.secret import ensure_link_secret, ensure_webhook_secret
from exporter.config.sources import CONFIG_FILE_VARIABLE, merged, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config", "Secret", "describe", "digest", "ensure_link_secret", "ensure_webhook_secret", "load"]


def load(config_file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Config:
    """Return the configuration.

    `overrides` are flags by key, such as {"storage.url": "sqlite:///x.db"}; only those that were given. With no
    file, the environment's DEVICE_EXPORTER_CONFIG_FILE names it. Raises ConfigError, with a line for each mistake.
    """
    named = environ.get(CONFIG_FILE_VARIABLE)
    file = config_file or (Path(named) if named else None)
    origins = Origins(str(file) if file else None)
    tree = merged(read_file(file) if file else {}, environ, overrides, origins)
    built = Builder(origins).struct(Config, tree)
    origins.mistakes.built()
    config = Checks(origins).checked(built)
    origins.mistakes.raise_all()
    return config
