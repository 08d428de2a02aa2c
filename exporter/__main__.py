"""`python -m exporter` is `device-exporter`."""

from exporter.cli import main

raise SystemExit(main())
