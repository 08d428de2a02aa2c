#!/bin/sh
# Alertmanager alone, or as a member of the cluster that peers.env names.
set -eu
. /rendered/alertmanager/peers.env
# shellcheck disable=SC2086 # a list of flags
exec /bin/alertmanager ${CLUSTER:---cluster.listen-address=} "$@"
