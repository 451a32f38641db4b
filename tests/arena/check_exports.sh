#!/bin/sh
# The shared library exports exactly the functions that cutback.h declares.
#
# Usage: check_exports.sh LIBRARY HEADER NM. Exit status 0, 1.
set -eu

exported=$("$3" -D -P --defined-only "$1" | cut -d' ' -f1 | sort)
declared=$(tr '\n' ' ' <"$2" | tr ';' '\n' | sed -n 's/.*CUTBACK_API .*[ *]\(cutback_[a-z_]*\)(.*/\1/p' | sort -u)
if [ "$exported" != "$declared" ]; then
  echo "exported:" $exported
  echo "declared:" $declared
  exit 1
fi
