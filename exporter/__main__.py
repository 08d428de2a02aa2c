"""`python -m exporter` is `device-exporter`."""

from exporter.cli.main import main

raise SystemExit(main())
