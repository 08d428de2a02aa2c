"""The dashboards as code; `grafana.build` writes them as JSON, which is committed and checked for drift by a test.

Texts are English here and translated by the table in `translation`. Nothing needs a running Grafana or Prometheus.
"""

import warnings

# The classic model on purpose: it is what the pinned Grafana provisions from files and keeps when they are exported.
warnings.filterwarnings("ignore", message="Prefer using dashboardv2", category=DeprecationWarning)
