#!/usr/bin/env bash
# Upgrade the stack to what this checkout and .env name, and go back.
#
#   scripts/upgrade.sh up         builds or pulls what is missing, starts, waits for health
#   scripts/upgrade.sh upgrade    notes the exporter's image, backs up, builds or pulls, starts, waits for health
#   scripts/upgrade.sh rollback   starts the noted image again. The journal stays as it is when both versions use the same
#                                 schema; otherwise the backup from before the upgrade comes back, because an older version cannot
#                                 read a newer journal, and the newer journal is kept under backups/
#
# The exporter's image is built from this folder while its version is `local`; a published one that .env names is pulled.
# Prometheus, Alertmanager and Grafana go back with the checkout and .env that named their older versions.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra compose <<<"${COMPOSE:-docker compose}"
note=backups/last-upgrade

die() { echo "upgrade: $*" >&2; exit 1; }

# `settings` runs the exporter's image and depends on nothing else
image_name() { "${compose[@]}" config --images settings | head -1; }

is_built_here() { case $(image_name) in *:local) true ;; *) false ;; esac; }

get_exporter() {
  if is_built_here; then
    "${compose[@]}" build --quiet exporter
  else
    # without a registry the image that is here does; Compose's status says nothing about a service that could be built
    "${compose[@]}" pull --quiet exporter || true
    docker image inspect "$(image_name)" >/dev/null 2>&1 || die "$(image_name) cannot be pulled"
  fi
}

start() { # SECONDS
  "${compose[@]}" up -d --no-build --wait --wait-timeout "$1" && return
  "${compose[@]}" logs --no-log-prefix settings 2>/dev/null | tail -5 >&2
  return 1
}

needs_compose() {
  "${compose[@]}" version >/dev/null 2>&1 && return
  if grep -qs '^LANGUAGE=en' .env; then
    echo "Docker Compose is not installed here: install Docker 25 or newer with its Compose plugin, see https://docs.docker.com/engine/install/" >&2
  else
    echo "Docker Compose belum terpasang di sini: pasang Docker 25 ke atas beserta plugin Compose-nya, lihat https://docs.docker.com/engine/install/" >&2
  fi
  exit 1
}

up() {
  get_exporter
  start 240
}

running_image() { docker inspect --format '{{.Image}}' "$("${compose[@]}" ps --quiet --all exporter | head -1)"; }

schema_version() { # reads a journal from stdin
  "${compose[@]}" run --rm --no-deps -T --entrypoint sh exporter -c 'cat >/data/.schema-check && python -c "
import sqlite3
print(sqlite3.connect(\"/data/.schema-check\").execute(\"PRAGMA user_version\").fetchone()[0])"; rm -f /data/.schema-check*'
}

upgrade() {
  local before name saved
  [ -n "$("${compose[@]}" ps --quiet exporter)" ] || die "the stack is not running: use make up"
  before=$(running_image)
  name=$(image_name)
  saved=$(scripts/backup.sh backup)
  docker tag "$before" "${name%:*}:before-upgrade" # keeps it from being pruned
  printf 'image=%s\nbackup=%s\n' "$before" "$saved" >"$note"
  echo "before: ${before:0:19}, backup $saved"
  "${compose[@]}" pull --ignore-buildable --policy missing --quiet || echo "upgrade: nothing could be pulled; using the images that are here"
  get_exporter
  start 300 || die "the new version is not healthy; go back with: make rollback"
  echo "upgraded; go back with: make rollback"
}

rollback() {
  local image='' backup='' name saved
  [ -s "$note" ] || die "no upgrade is noted in $note"
  image=$(sed -n 's/^image=//p' "$note")
  backup=$(sed -n 's/^backup=//p' "$note")
  name=$(image_name)
  saved=$(scripts/backup.sh backup "backups/$(date -u +%Y%m%dT%H%M%SZ)-before-rollback.tar")
  local older newer
  older=$(tar -xOf "$backup" ./exporter.db | schema_version)
  newer=$(tar -xOf "$saved" ./exporter.db | schema_version)
  docker tag "$image" "$name"
  if [ "$older" = "$newer" ]; then
    "${compose[@]}" up -d --no-deps --no-build --wait exporter
    echo "rolled back to ${image:0:19}; the journal stays as it is"
  else
    scripts/backup.sh restore "$backup" journal
    echo "rolled back to ${image:0:19} and to the journal of $backup; the newer journal is $saved"
  fi
}

needs_compose
case ${1:-} in
  up) up ;;
  upgrade) upgrade ;;
  rollback) rollback ;;
  *) die "usage: $0 up | upgrade | rollback" ;;
esac
