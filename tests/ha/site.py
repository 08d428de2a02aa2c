"""Several exporters over one PostgreSQL with everything that meets them, and what must hold after whatever happened.

(a) Every acknowledged event is there once, (b) numbers have no gap, (c) all exporters show the same and what the events
say, (d) no counter was seen to fall, (e) one key for each call of a hook.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.ha.nodes import HERE, Hook, Looker, Node, Place, Sender, check_equal, check_events, leader
from tests.patience import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TAKEN_OVER = 8.0
"""Seconds within which another exporter leads."""


def is_ready(node: Node) -> bool:
    try:
        return node.ready()
    except (ConnectionError, OSError):
        return False


@dataclass
class Site:
    url: str
    nodes: list[Node]
    sender: Sender
    looker: Looker
    hook: Hook

    @property
    def one(self) -> Node:
        return self.nodes[0]

    @property
    def other(self) -> Node:
        return self.nodes[1]

    def leading_and_not(self) -> tuple[Node, Node]:
        leading = leader(self.nodes)
        return leading, next(node for node in self.nodes if node is not leading)

    def rest(self) -> None:
        """Bring every exporter up, every device too, and let nothing happen."""
        for node in self.nodes:
            if node.process is None or node.process.poll() is not None:
                node.start()
        self.sender.end()
        wait_for(lambda: all(node.ready() for node in self.nodes), "all exporters are ready", 20)
        time.sleep(0.5)

    def check(self) -> None:
        """Bring it to rest; what must always hold does."""
        self.rest()
        check_events(self.url, self.sender)
        check_equal(self.nodes, self.url)
        assert self.looker.scrapes > 5
        assert self.looker.falls == []
        self.hook.check()

    def figures(self, text: str) -> None:
        """Show what was measured, in a run with -s."""
        calls = f"{len(self.hook.keys())} calls of the hook with a key each"
        taken = f"{len(self.sender.acknowledged)} acknowledged, {self.looker.scrapes} scrapes"
        print(f"\n{text}; {taken}, {calls}", end=" ")  # noqa: T201


@contextmanager
def site(folder: Path, url: str, *, places: Sequence[Place] = (HERE, HERE)) -> Iterator[Site]:
    """Run exporters, send to them and look at them."""
    with ExitStack() as stack:
        hook = stack.enter_context(Hook())
        nodes = [Node(folder / f"node{number}", url, hook.url, place) for number, place in enumerate(places, 1)]
        for node in nodes:
            stack.enter_context(node)
        sender = stack.enter_context(Sender(nodes))
        looker = stack.enter_context(Looker(nodes))
        found = Site(url, nodes, sender, looker, hook)
        wait_for(lambda: len(sender.acknowledged) > 10, "events are taken")
        wait_for(hook.keys, "the hook is called", 30)
        yield found
