#!/bin/sh
# Grafana with the language, the time zone and the address of .env.
set -eu
set -a
. /rendered/grafana/grafana.env
set +a
exec /run.sh "$@"
