"""What the exporter does while it leads, if there are several on one journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.app.feature import Leads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.app.feature import Feature
    from exporter.recording.leading import Leading


class Leadership:
    """Made when the features have started: what they loaded is right if this exporter has led from then on."""

    def __init__(self, leading: Leading, features: Iterable[Feature]) -> None:
        self._leading = leading
        self._features = [feature for feature in features if isinstance(feature, Leads)]
        self._loaded = leading.epoch if leading.leads else 0  # the lead under which the features have loaded

    async def begin(self) -> None:
        """Let the features load what another exporter changed while it led. JournalUnavailable."""
        loaded, self._loaded = self._loaded, 0
        if self._leading.epoch != loaded:
            for feature in self._features:
                await feature.lead()
