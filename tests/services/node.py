"""node: objects and JSON, 4,000 buffers through zlib, 800 requests to a server of its own, three worker threads."""

NEEDS = ["node|nodejs"]


def work(run):
    run.version = "node " + run.output("node", "--version").strip().lstrip("v")
    program = run.talk("node", "--expose-gc", run.program("node.js"))
    for step in ("objects", "buffers", "server", "workers", "rest"):
        run.say(step, run.ask(program, step))
    run.rest()
    run.finish(program)
