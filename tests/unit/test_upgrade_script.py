"""`make up`: an image of this folder is built, a published one is pulled; told by what Compose is asked to do."""

import os
import subprocess

import pytest

from tests.tools import ROOT

COMPOSE = """#!/bin/sh
case "$*" in
  version) exit 0 ;;
  "config --images settings") echo "$IMAGE" ;;
  "logs --no-log-prefix settings") echo "TIMEZONE: expected WIB" ;;
  *) echo "$*" >>"$CALLS"; case "$1" in "$FAILS") exit 1 ;; esac ;;
esac
"""


@pytest.fixture
def up(tmp_path):
    compose = tmp_path / "compose"
    compose.write_text(COMPOSE)
    compose.chmod(0o755)
    (tmp_path / "docker").write_text('#!/bin/sh\n[ "$FAILS" != pull ]\n')
    (tmp_path / "docker").chmod(0o755)

    def run(image, fails="nothing"):
        env = {"COMPOSE": str(compose), "IMAGE": image, "CALLS": str(tmp_path / "calls"), "FAILS": fails}
        env["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        command = [str(ROOT / "scripts/upgrade.sh"), "up"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        return done, (tmp_path / "calls").read_text().splitlines()

    return run


def test_an_image_of_this_folder_is_built_and_never_looked_for_elsewhere(up):
    done, calls = up("device-exporter:local")

    assert done.returncode == 0, done.stderr
    assert calls == ["build --quiet exporter", "up -d --no-build --wait --wait-timeout 240"]


def test_a_published_image_is_pulled_and_nothing_is_built(up):
    done, calls = up("ghcr.io/toko/device-exporter:1.2.0")

    assert done.returncode == 0, done.stderr
    assert calls == ["pull --quiet exporter", "up -d --no-build --wait --wait-timeout 240"]


def test_a_published_image_that_cannot_be_had_is_named(up):
    done, calls = up("ghcr.io/toko/device-exporter:1.2.0", fails="pull")

    assert done.returncode == 1
    assert "ghcr.io/toko/device-exporter:1.2.0 cannot be pulled" in done.stderr
    assert calls == ["pull --quiet exporter"]


def test_without_compose_the_last_sentence_says_what_to_install(tmp_path):
    env = {"COMPOSE": str(tmp_path / "nothing"), "PATH": os.environ["PATH"]}
    for action in ("up", "upgrade", "rollback"):
        command = [str(ROOT / "scripts/upgrade.sh"), action]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        [said] = done.stderr.splitlines()
        assert done.returncode == 1
        assert "Docker Compose" in said
        assert "https://docs.docker.com/engine/install/" in said


def test_a_wrong_setting_is_shown_where_the_start_fails(up):
    done, _ = up("device-exporter:local", fails="up")

    assert done.returncode == 1
    assert "TIMEZONE: expected WIB" in done.stderr
