#!/usr/bin/env bash
# Back up and restore everything that is yours in this stack.
#
#   scripts/backup.sh backup [FILE]          FILE (default backups/TIME.tar), while everything runs: the journal as one consistent
#                                            copy, the secrets that the first start made, Alertmanager's silences and what it has told,
#                                            Grafana's users and own dashboards, and .env, config/ and secrets/
#   scripts/backup.sh restore FILE [journal] puts all of it, or the journal alone, in place and starts the stack, on this machine or on
#                                            a new clone on another one; what was there before is backed up first
#
# While the exporter is stopped (seconds) the sender's retries bridge the gap. Prometheus' volume holds derived data: it is not
# in a backup. COMPOSE names another compose command.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra compose <<<"${COMPOSE:-docker compose}"
umask 077

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
for file in *-secret *-token *-key *-password; do [ ! -f "$file" ] || cp -p "$file" .backup/; done
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

is_running() { [ -n "$("${compose[@]}" ps --status running --quiet "$1" 2>/dev/null)" ]; }

in_exporter() { # SCRIPT: in the running container, or in a short-lived one on the same volume
  if is_running exporter; then
    "${compose[@]}" exec -T exporter sh -c "$1"
  else
    "${compose[@]}" run --rm --no-deps -T --entrypoint sh exporter -c "$1"
  fi
}

in_volumes() { "${compose[@]}" run --rm --no-deps -T volumes "$@"; }

yours() { # the operator's own files in this folder
  local path
  for path in .env config secrets compose.override.yml docker-compose.override.yml; do [ ! -e "$path" ] || echo "$path"; done
}

save() { # FILE
  local stage
  mkdir -p -m 700 backups "$(dirname "$1")"
  stage=$(mktemp -d "$(dirname "$1")/.partial.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$stage'" EXIT
  mkdir "$stage/all" "$stage/all/project"
  in_exporter "$pack" | tar -C "$stage/all" -xf - && [ -s "$stage/all/exporter.db" ] || die "no backup was made"
  in_volumes pack | tar -C "$stage/all" -xf - || die "no backup was made"
  yours | tar -cf - --exclude=README.md --exclude='*.example.yml' --exclude=.gitignore -T - | tar -C "$stage/all/project" -xf -
  tar -C "$stage/all" -cf "$stage/backup.tar" .
  mv "$stage/backup.tar" "$1"
  rm -rf "$stage"
  echo "$1"
}

new_name() { echo "backups/$(date -u +%Y%m%dT%H%M%SZ)${1:-}.tar"; }

members() { tar -tf "$1" | grep -E "$2" || true; }

restore_journal() { # FILE
  local stage
  stage=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$stage'" RETURN
  tar -C "$stage" -xf "$1" --exclude=./project --exclude=./alertmanager --exclude=./grafana
  tar -C "$stage" -cf - . |
    "${compose[@]}" run --rm --no-deps -T --entrypoint sh exporter -c "$unpack" ||
    die "nothing was changed; start the exporter again with: ${compose[*]} start exporter"
}

restore() { # FILE [journal]
  [ -s "$1" ] || die "usage: make restore FILE=backups/TIME.tar"
  tar -tf "$1" ./exporter.db >/dev/null 2>&1 || die "$1 is not a backup"
  if [ -n "$("${compose[@]}" ps --all --quiet exporter 2>/dev/null)" ]; then
    echo "what is there now goes to $(save "$(new_name -before-restore)")"
  fi
  "${compose[@]}" stop exporter
  restore_journal "$1"
  if [ "${2:-}" != journal ]; then
    "${compose[@]}" stop alertmanager grafana
    if [ -n "$(members "$1" '^\./(alertmanager|grafana)/.')" ]; then
      in_volumes unpack <"$1" || die "Alertmanager's and Grafana's part could not be put in place"
    fi
    if [ -n "$(members "$1" '^\./project/.')" ]; then tar -xf "$1" --strip-components=2 ./project; fi
    "${compose[@]}" up -d --no-build --wait --wait-timeout 300
  else
    "${compose[@]}" up -d --no-deps --no-build --wait exporter
  fi
  echo "restored $1"
}

case ${1:-} in
  backup) save "${2:-$(new_name)}" ;;
  restore) restore "${2:-}" "${3:-}" ;;
  *) die "usage: $0 backup [FILE] | restore FILE [journal]" ;;
esac
