"""emacs in batch mode: a buffer of 20,000 lines is edited, hash tables, simple.el is compiled, subr.el coloured."""

NEEDS = ["emacs"]


def work(run):
    run.version = run.output("emacs", "--version").splitlines()[0].lower().removeprefix("gnu ")
    program = run.talk("emacs", "-Q", "--batch", "-l", run.program("steps.el"))
    for step in ("edit", "tables", "compile", "fontify", "rest"):
        run.say(step, run.ask(program, step))
    run.rest()
    run.finish(program)
