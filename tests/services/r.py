"""R: 3,000 vectors, a matrix of 500 by 500 solved, data frames merged and fitted, 60,000 strings."""

NEEDS = ["R"]


def work(run):
    run.version = "R " + run.output("R", "--version").split()[2]
    program = run.talk("R", "--vanilla", "--no-echo", f"--file={run.program('steps.R')}")
    for step in ("vectors", "matrices", "frames", "strings", "rest"):
        run.say(step, run.ask(program, step))
    run.rest()
    run.finish(program)
