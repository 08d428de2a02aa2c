#!/bin/sh
# Grafana with an admin password made on the first start instead of a well-known one.
set -eu
password=/var/lib/grafana/admin-password
if [ ! -s "$password" ]; then
  (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$password.new" && mv "$password.new" "$password")
fi
exec /run.sh "$@"
