#!/usr/bin/env python3
"""The terminal belongs to the program: it has one, and what is typed there (Ctrl-C, Ctrl-Z) reaches it once.

Environment: CUTBACK_RUN, the launcher. Nothing is typed before the program says "ready" and is where it should be.
"""
import os
import pty
import shutil
import signal
import subprocess
import sys
import time

RUN = os.environ["CUTBACK_RUN"]
failures = 0


class Terminal:
    """A program on a terminal of its own, as leader of the session."""

    def __init__(self, *arguments, under=()):
        self.name = " ".join(arguments)
        self.said = b""
        self.seen = 0  # how far of it has been waited for
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            command = [*under, RUN, *arguments]
            os.execvp(command[0], command)

    def read(self):
        try:
            chunk = os.read(self.file, 4096)
        except OSError:  # what Linux says at the end
            chunk = b""
        self.said += chunk
        return chunk != b""

    def wait_for(self, text):
        while text not in self.said[self.seen:] and self.read():
            pass
        self.seen = self.said.find(text, self.seen) + len(text)

    def ready(self):
        """Waits until it says "ready PROCESS", and returns that process."""
        self.wait_for(b"ready ")
        begin = self.seen
        self.wait_for(b"\r\n")
        return int(self.said[begin:self.seen])

    def type(self, text):
        os.write(self.file, text)

    def end(self, expected, *texts):
        global failures
        while self.read():
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if status != expected or any(text not in self.said for text in texts):
            failures += 1
            print(f"FAILED: {self.name}: status {status}, not {expected}; it says {self.said!r}, not {texts}")


def wait_until(process, name, states):
    """Waits until the process has this name and one of these states: a shell before execve, or one that a signal has
    not reached yet, would take what is typed as its own."""
    while True:
        with open(f"/proc/{process}/stat", encoding="ascii") as stat:
            found, state = stat.read().split("(", 1)[1].rsplit(")", 1)
        if found == name and state.split()[0] in states:
            return
        time.sleep(0.01)


def sleeper(*how, under=()):
    terminal = Terminal(*how, "bash", "-c", "echo ready $$; exec sleep 60", under=under)
    wait_until(terminal.ready(), "sleep", "S")
    return terminal


COUNTS = "trap 'n=$((n + 1)); echo caught' INT; echo ready; while [ -z \"$n\" ]; do sleep 0.05; done; sleep 0.3; exit $n"

for how in ([], ["--debug"], ["--only", "bash"], ["--only", "none", "--debug"]):
    terminal = Terminal(*how, "bash", "-c", COUNTS)
    terminal.wait_for(b"ready")
    terminal.type(b"\x03")
    terminal.end(1, b"caught")

    terminal = sleeper(*how)
    terminal.type(b"\x03")
    terminal.end(-signal.SIGINT)

    terminal = Terminal(*how, "bash", "-c", "test -t 0 && test -t 1 && test -t 2 && echo ready; read -r a; echo \"<$a>\"")
    terminal.wait_for(b"ready")
    terminal.type(b"typed\n")
    terminal.end(0, b"<typed>")

# The first run of --compare has the terminal for its output; Ctrl-C ends all of it.
terminal = sleeper("--compare")
terminal.type(b"\x03")
terminal.end(-signal.SIGINT, b"interrupted")

# The program has ended of it before the launcher looks for the first time.
SLOW = ("strace", "-o", "/dev/null", "-e", "trace=wait4", "-e", "inject=wait4:delay_enter=300000")
if shutil.which("strace") and subprocess.run([*SLOW, "true"], capture_output=True).returncode == 0:
    terminal = sleeper("--compare", under=SLOW)
    terminal.type(b"\x03")
    terminal.end(-signal.SIGINT, b"interrupted")

# A shell stops and continues it.
os.environ["PS1"] = "prompt> "
terminal = Terminal("bash", "--norc", "-i")
terminal.wait_for(b"prompt> ")
terminal.type(f"{RUN} --debug bash -c 'echo re''ady $$; read -r a; echo \"<$a>\"; exit 3'\n".encode())
process = terminal.ready()
terminal.type(b"\x1a")
terminal.wait_for(b"Stopped")
wait_until(process, "bash", "T")
terminal.wait_for(b"prompt> ")
terminal.type(b"fg\n")
terminal.wait_for(b"exit 3'")
terminal.type(b"typed\n")
terminal.wait_for(b"<typed>")
terminal.type(b"echo status=$?\n")
terminal.wait_for(b"status=3")
terminal.type(b"exit\n")
terminal.end(0, b"status=3")

print("all as expected" if failures == 0 else f"{failures} failures")
sys.exit(failures != 0)
