"""What holds for all tests: the event loop, patience, how many examples Hypothesis tries, and PostgreSQL's servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.patience import PATIENCE, patient
from tests.postgres import end_shared_cluster, own_cluster, shared_cluster

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from tests.postgres import Cluster

# No example has a deadline: machines differ. With `CI=true` Hypothesis chooses its own profile of that name, with the
# same examples each time; the nightly run (--hypothesis-profile nightly) has other ones and keeps those that failed.
laptop = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
kept = DirectoryBasedExampleDatabase(".hypothesis/examples")
settings.register_profile("laptop", laptop)
settings.register_profile("nightly", laptop, derandomize=False, database=kept, max_examples=1000, print_blob=True)
if settings.get_current_profile_name() == "default":
    settings.load_profile("laptop")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test its time-out times the patience asked for."""
    if PATIENCE == 1:
        return
    usual = float(config.getoption("timeout") or config.getini("timeout"))
    for item in items:
        marker = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout(patient(marker.args[0] if marker else usual)), append=False)


def pytest_sessionfinish() -> None:
    end_shared_cluster()


@pytest.fixture
def url() -> str:
    """Give a new database on the server that all tests share."""
    return shared_cluster().database()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Give a server that a test may end."""
    with own_cluster() as found:
        yield found
