"""What pyproject.toml cannot say: files that a wheel holds besides, and a page whose links lead somewhere.

A wheel holds rules, dashboards, routes and texts of messages, for `device-exporter assets`. README.md becomes the page
of the distribution; its links are made whole where the build knows the repository, as a workflow's environment says it.
"""

import os
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
ASSETS = (
    "prometheus/rules/*.yml",
    "grafana/dashboards/*/*.json",
    "alertmanager/alertmanager.yml",
    "alertmanager/templates/*.tmpl",
)


class WithAssets(build_py):
    """Adds the files; an installation that leads back into a checkout reads them there."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "exporter" / "assets" / "files"
        for pattern in ASSETS:
            for file in sorted(ROOT.glob(pattern)):
                copy = target / file.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


def repository() -> str:
    """Return the repository's address; empty where it is not known."""
    name = os.environ.get("GITHUB_REPOSITORY", "")
    return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else ""


def page(home: str) -> str:
    """Return README.md with whole addresses."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if not home:
        return text
    text = re.sub(r"\]\((?!https?://|#|mailto:)([^)]+)\)", rf"]({home}/blob/main/\1)", text)
    return re.sub(r'src="(?!https?://)([^"]+)"', rf'src="{home}/raw/main/\1"', text)


def urls(home: str) -> dict[str, str]:
    """Return the links beside the page."""
    if not home:
        return {}
    return {
        "Source": home,
        "Documentation": f"{home}/tree/main/docs",
        "Changelog": f"{home}/blob/main/CHANGELOG.md",
        "Issues": f"{home}/issues",
    }


setup(
    cmdclass={"build_py": WithAssets},
    long_description=page(repository()),
    long_description_content_type="text/markdown",
    project_urls=urls(repository()),
)
