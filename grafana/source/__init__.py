"""The dashboards as code; `grafana.build` writes them as JSON, which is committed and checked for drift by a test.

Texts are English here and translated by the table in `translation`. Nothing needs a running Grafana or Prometheus.
"""
