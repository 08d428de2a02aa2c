#!/usr/bin/env bash
# Pin what the container installs, with hashes, for Python 3.13 on x86_64 and aarch64: `make requirements`.
#
# requirements.txt        the exporter's dependencies
# requirements-build.txt  what builds the exporter's own wheel
#
# Needs a Python 3.13 (PYTHON313=...) because markers and wheels differ between versions. UPGRADE=1 takes newer releases;
# without it existing pins stay. The files name no package index, and every pin must have a wheel for both platforms.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON313:-python3.13}
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' ||
  { echo "requirements: needs Python 3.13; set PYTHON313 to its path" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pip-tools>=7.4,<8'

# pip-compile also writes the options of the machine's pip configuration into its output: no file may name an index
compile() { # OUTPUT SOURCE OPTION...
  CUSTOM_COMPILE_COMMAND="make requirements" "$work/venv/bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options ${UPGRADE:+--upgrade} --output-file "$@"
  if grep -nE '://|^ *--(index|extra-index|find-links|trusted)' "$1"; then
    echo "requirements: $1 names a package index" >&2
    exit 1
  fi
}

check() { # FILE: every pin has a wheel whose hash is listed, on both platforms
  local machine
  for machine in x86_64 aarch64; do
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --dry-run --ignore-installed --no-deps --require-hashes \
      --only-binary :all: --python-version 3.13 --implementation cp --abi cp313 --abi abi3 --abi none \
      --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
      --platform "manylinux_2_34_$machine" --platform any --target "$work/target" -r "$1"
    echo "$1: every pin has a wheel for $machine"
  done
}

sed -n '/^\[build-system\]/,/^$/s/^requires = \[\(.*\)\]$/\1/p' pyproject.toml | tr -d '" ' | tr , '\n' >"$work/build.in"
compile requirements.txt pyproject.toml --extra postgres
compile requirements-build.txt "$work/build.in"
sed -i "s#-r $work/build.in#pyproject.toml (build-system)#" requirements-build.txt
check requirements.txt
check requirements-build.txt
