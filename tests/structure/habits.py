#!/usr/bin/env python3
"""The files of the repository that no build reads say what they must, and name what is there.

    habits.py SOURCE-FOLDER

The workflow calls .ci/run, which runs every kind of test, and keeps the packages and the table of costs; the templates
of issues ask for what helps; corpora are bytes to git.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from verdict import demand, end  # noqa: E402

SOURCE = Path(sys.argv[1])


def read(name):
    return (SOURCE / name).read_text()


workflow = read(".github/workflows/ci.yml")
commands = re.findall(r"(?:run: |&& )(\.\S+)(?: (\w+))?", workflow)
demand((".ci/run", "") in commands, "the workflow does not call .ci/run")
help_text = read("tools/dev").partition("cmd_help()")[2]
for program, word in commands:
    demand((SOURCE / program).is_file(), f"the workflow calls {program}, which is not there")
    demand(program != "./tools/dev" or f"\n  {word} " in help_text, f"tools/dev has no command {word}")
for kept in ("build-package/*.deb", "cost.txt", "cost.json"):
    demand(re.search(rf"^ +(path: )?{re.escape(kept)}$", workflow, re.M), f"the workflow does not keep {kept}")
demand("CI=true" in read(".ci/run") and "./tools/dev test" in read(".ci/run"), ".ci/run does not run all tests")
asked = "\n".join(path.read_text() for path in (SOURCE / ".github/ISSUE_TEMPLATE").glob("*.md"))
for what in ("cutback-run --check", "--record"):
    demand(what in asked, f"no template of issues asks for {what}")
demand("\nfuzz/corpus/** binary\n" in read(".gitattributes"), ".gitattributes does not say that corpora are bytes")
end()
