"""What is installed from the built wheel is whole: the command, its data, and the files for a stack of one's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from exporter import __version__
from exporter.assets.render import Wanted, render
from tests.patience import patient
from tests.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def run(*command: str, **environ: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=patient(120), env=os.environ | environ, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel, as an installer would put it beside its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True
    ).splitlines():
        if name.startswith(("exporter/", "prometheus/", "alertmanager/", "grafana/dashboards/")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, *pip, "-w", str(folder), str(source), GITHUB_REPOSITORY="example/device-exporter")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_files_for_a_stack_of_ones_own_as_the_checkout_has_them(
    installed: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "exporter", "assets", str(tmp_path), PYTHONPATH=str(installed))
    expected = render(Wanted())
    written = {str(file.relative_to(tmp_path)): file.read_text("utf-8") for file in tmp_path.rglob("*.*")}
    assert written == expected
    assert (installed / "exporter" / "assets" / "files").is_dir()


def test_the_wheel_has_the_command_and_every_file_of_the_package_that_is_no_test(installed: Path) -> None:
    assert run(sys.executable, "-m", "exporter", "version", PYTHONPATH=str(installed)).strip().endswith(__version__)
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard", "exporter"], cwd=ROOT, text=True)
    assert {name for name in listed.splitlines() if not (installed / name).is_file()} == set()


def test_the_page_of_the_distribution_leads_only_to_whole_addresses(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info/METADATA")
    text = metadata.read_text("utf-8")
    page = text.partition("\n\n")[2]
    assert "](https://github.com/example/device-exporter/blob/main/docs/alerting.md)" in page
    assert 'src="docs/' not in page
    assert re.findall(r"\]\((?!https://|#)([^)]+)\)", page) == []
    for field in ("License-Expression", "Author", "Classifier", "Keywords", "Project-URL", "Requires-Python"):
        assert f"\n{field}: " in text, field
