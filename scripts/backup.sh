#!/usr/bin/env bash
# Back up and restore the exporter of the running stack.
#
#   scripts/backup.sh backup [FILE]   FILE (default backups/TIME.tar): the journal, as one consistent copy taken without
#                                     stopping anything, and the secrets that the exporter made for itself
#   scripts/backup.sh restore FILE    stops the exporter, puts the backup in place, starts it; what was there before is
#                                     backed up first
#
# While the exporter is stopped (seconds) the sender's retries bridge the gap. COMPOSE names another compose command.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra compose <<<"${COMPOSE:-docker compose}"

die() { echo "backup: $*" >&2; exit 1; }

# runs in the exporter's container; the copy lies beside the journal until it is sent
# shellcheck disable=SC2016
pack='set -e
umask 077
rm -rf /data/.backup
trap "rm -rf /data/.backup" EXIT
mkdir /data/.backup
device-exporter backup --storage.url=sqlite:////data/exporter.db /data/.backup/exporter.db >&2
cd /data
for file in *-secret *-token *-key; do [ ! -f "$file" ] || cp -p "$file" .backup/; done
tar -C .backup -cf - .'

# the exporter is stopped: nobody else has the journal open
# shellcheck disable=SC2016
unpack='set -e
umask 077
rm -rf /data/.restore
mkdir /data/.restore
trap "rm -rf /data/.restore" EXIT
tar -C /data/.restore -xf -
[ -s /data/.restore/exporter.db ] || { echo "no exporter.db in this backup" >&2; exit 1; }
python - <<PY
import sqlite3
(verdict,) = sqlite3.connect("/data/.restore/exporter.db").execute("PRAGMA integrity_check").fetchone()
raise SystemExit(0 if verdict == "ok" else f"the backup is damaged: {verdict}")
PY
sync /data/.restore/*
for part in wal shm log-a log-b; do rm -f /data/exporter.db-$part; done
cd /data/.restore
for file in *; do mv -f "$file" "/data/$file"; done
sync /data'

exporter_is_running() { [ -n "$("${compose[@]}" ps --status running --quiet exporter 2>/dev/null)" ]; }

in_exporter() { # SCRIPT: in the running container, or in a short-lived one on the same volume
  if exporter_is_running; then
    "${compose[@]}" exec -T exporter sh -c "$1"
  else
    "${compose[@]}" run --rm --no-deps -T --entrypoint sh exporter -c "$1"
  fi
}

save() { # FILE
  mkdir -p "$(dirname "$1")"
  (umask 077 && in_exporter "$pack" >"$1.partial") || { rm -f "$1.partial"; die "no backup was made"; }
  mv "$1.partial" "$1"
  echo "$1"
}

new_name() { echo "backups/$(date -u +%Y%m%dT%H%M%SZ)${1:-}.tar"; }

restore() { # FILE
  [ -s "$1" ] || die "usage: make restore FILE=backups/TIME.tar"
  tar -tf "$1" ./exporter.db >/dev/null 2>&1 || die "$1 is not a backup"
  echo "what is there now goes to $(save "$(new_name -before-restore)")"
  "${compose[@]}" stop exporter
  "${compose[@]}" run --rm --no-deps -T --entrypoint sh exporter -c "$unpack" <"$1" ||
    die "nothing was changed; start the exporter again with: ${compose[*]} start exporter"
  "${compose[@]}" up -d --no-deps --no-build --wait exporter
  echo "restored $1"
}

case ${1:-} in
  backup) save "${2:-$(new_name)}" ;;
  restore) restore "${2:-}" ;;
  *) die "usage: $0 backup [FILE] | restore FILE" ;;
esac
