"""Run by gdb: carries out the commands on all that the program has told, each behind a line of its own."""

import gdb

with open("addresses") as file:
    told = dict(line.split() for line in file)


def carry_out(name, command):
    print(f"== {name}")
    try:
        print(gdb.execute(command, to_string=True), end="")
    except gdb.error as error:
        print(f"error: {error}")


for name, address in told.items():
    carry_out(name, f"cutback whatis {address}")
carry_out("expression", f"cutback whatis (char *) {told['small']} + 8 * 2")
carry_out("heaps", "cutback heaps")
carry_out("block", f"cutback block {told['small']}")
carry_out("block_large", f"cutback block {told['large']}")
carry_out("block_stack", f"cutback block {told['stack']}")
carry_out("no_address", "cutback whatis")
carry_out("nonsense", "cutback whatis no_such_variable")
carry_out("too_many", "cutback heaps 1")
print("== end")
