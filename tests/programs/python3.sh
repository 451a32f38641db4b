#!/bin/bash
# python3: json, re, threads, subprocess and forked workers, with its own small-object allocator and without.
. "$(dirname "$0")/common.sh"
need python3
work() {
    python3 -I "$here/python3.py" && PYTHONMALLOC=malloc python3 "$here/python3.py"
}
same
mapped python3
