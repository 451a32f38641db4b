"""A Java virtual machine: four threads make 12,000 direct buffers of up to 1 MiB; zlib in two threads; a file."""

NEEDS = ["java"]


def work(run):
    run.version = run.output("sh", "-c", "java -version 2>&1").splitlines()[0].replace(" version", "").replace('"', "").partition(" 20")[0]
    program = run.talk("java", "-Xmx256m", "-XX:MaxDirectMemorySize=256m", "-XX:-UsePerfData", run.program("Direct.java"))
    for step in ("buffers", "deflate", "files", "rest"):
        run.say(step, run.ask(program, step))
    run.rest()
    run.finish(program)
