#!/bin/sh
# The shared library exports exactly the functions that its headers declare.
#
# Usage: check_exports.sh LIBRARY NM HEADER.... Exit status 0, 1.
set -eu

exported=$("$2" -D -P --defined-only "$1" | cut -d' ' -f1 | sort)
shift 2
declared=$(cat "$@" | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*CUTBACK_API .*[ *]\(cutback_[a-z_]*\)(.*/\1/p' | sort -u)
if [ "$exported" != "$declared" ]; then
  echo "exported:" $exported
  echo "declared:" $declared
  exit 1
fi
