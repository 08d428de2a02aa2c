"""Prometheus' rules: accepted by promtool, and doing what their tests in its language say."""

import subprocess

import pytest

from tests.rule_files import FILES, TESTS
from tests.tools import require

pytestmark = pytest.mark.binaries


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([require("promtool"), *arguments], capture_output=True, text=True, check=False)


def test_promtool_accepts_every_rule_file():
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_promtool_finds_the_rules_doing_what_their_tests_say(path):
    done = promtool("test", "rules", str(path))

    assert done.returncode == 0, done.stdout + done.stderr
