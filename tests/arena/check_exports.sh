#!/bin/sh
# The shared library exports exactly the functions that its headers declare, each with a version.
#
# Usage: check_exports.sh LIBRARY NM HEADER.... Exit status 0, 1.
set -eu

exported=$("$2" -D -P --defined-only "$1" | sed -n 's/^\([^ ]*\) [^A].*/\1/p' | sort)
shift 2
declared=$(cat "$@" | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*CUTBACK_API .*[ *]\(cutback_[a-z_]*\)(.*/\1/p' | sort -u)
if [ "$(echo "$exported" | sed 's/@@CUTBACK_[0-9.]*$//')" != "$declared" ]; then
  echo "exported:" $exported
  echo "declared:" $declared
  exit 1
fi
if echo "$exported" | grep -v '@@CUTBACK_[0-9]'; then
  echo "these have no version"
  exit 1
fi
