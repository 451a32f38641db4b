"""ruby: six threads make objects and strings, four workers behind a queue, JSON of 40,000 rows, a forked child."""

NEEDS = ["ruby"]


def work(run):
    run.version = " ".join(run.output("ruby", "--version").split()[:2])
    program = run.talk("ruby", "--disable=gems", run.program("ruby.rb"))
    for step in ("threads", "queue", "json", "fork", "rest"):
        run.say(step, run.ask(program, step))
    run.rest()
    run.finish(program)
