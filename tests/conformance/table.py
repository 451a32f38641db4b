#!/usr/bin/env python3
"""Runs the conformance program against several allocators and writes the table of what holds to doc/conformance.md.

usage: tests/conformance/table.py BUILD_DIRECTORY

An allocator whose library is not installed is left out.
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARIES = '/usr/lib/*-linux-gnu/'
PACKAGES = {'jemalloc': ('libjemalloc.so.2', 'libjemalloc2'), 'mimalloc': ('libmimalloc.so.2', 'libmimalloc2.0'),
            'tcmalloc': ('libtcmalloc_minimal.so.4', 'libtcmalloc-minimal4')}


def version(package):
    found = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', package], capture_output=True, text=True)
    return re.sub(r'^\d+:|[-+].*$', '', found.stdout) if found.returncode == 0 else ''


def allocators(build):
    yield 'cutback', '', os.path.join(build, 'preload', 'libcutback_preload.so')
    yield 'glibc', os.confstr('CS_GNU_LIBC_VERSION').split()[1], ''
    for name, (library, package) in PACKAGES.items():
        for path in glob.glob(LIBRARIES + library)[:1]:
            yield name, version(package), path


def results(program, library):
    """Property -> what to print of it."""
    environment = dict(os.environ, LD_PRELOAD=library)
    run = subprocess.run([program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found, last = {}, None
    for line in run.stdout.splitlines():
        match = re.match(r'(not )?ok \d+ - ([^#]*?)( # SKIP.*)?$', line)
        if match:
            last = match.group(2)
            found[last] = 'absent' if match.group(3) else '**no**' if match.group(1) else 'yes'
        elif line.startswith('# it ended by signal'):
            found[last] = '**crashes**' if not line.endswith(' 14') else '**hangs**'
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    build = os.path.abspath(sys.argv[1])
    program = os.path.join(build, 'tests', 'conformance', 'conformance')
    columns = [(f'{name} {number}'.strip(), results(program, library))
               for name, number, library in allocators(build)]
    lines = ['# Conformance', '',
             'What POSIX, C11, C23 and the glibc manual say of the allocation functions, tried against allocators as',
             'Debian ships them, each preloaded (glibc as it is). Where the standards leave room, the property is what',
             'glibc does, since that is what programs were tested with: such a "no" is a difference, not always a fault.',
             '', 'Written by `tests/conformance/table.py` from the output of `tests/conformance/conformance.c`.', '',
             '| property | ' + ' | '.join(name for name, _ in columns) + ' |', '|---' * (len(columns) + 1) + '|']
    for text in columns[0][1]:
        lines.append(f'| {text} | ' + ' | '.join(found.get(text, '?') for _, found in columns) + ' |')
    lines.append('| **of %d** | ' % len(columns[0][1]) +
                 ' | '.join(str(list(found.values()).count('yes')) for _, found in columns) + ' |')
    with open(os.path.join(ROOT, 'doc', 'conformance.md'), 'w', encoding='utf-8') as out:
        out.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main()
