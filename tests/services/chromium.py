"""chromium, headless: a page with a table and a canvas is laid out and drawn ten times; its text, sizes and colours.

It has a malloc of its own, which comes before every preloaded one, so that cutback has next to nothing to do in it.
"""
import hashlib
import json
import os

NEEDS = ["/usr/lib/chromium/chromium|chromium"]
LOOK = """JSON.stringify([document.title, document.getElementById('title').textContent, table.textContent,
    table.getBoundingClientRect().width, table.rows.length, canvas.getImageData(0, 0, 300, 200).data.join('')])"""
OPTIONS = ("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions")


class Browser:
    """Commands to it, over descriptors 3 and 4: JSON that ends with a byte 0."""

    def __init__(self, run):
        (self.inside, commands), (answers, outside) = os.pipe(), os.pipe()
        self.commands, self.answers, self.last, self.left = commands, answers, 0, b""
        run.environment["COMMANDS"], run.environment["ANSWERS"] = str(self.inside), str(outside)
        self.process = run.start("sh", "-c", 'exec "$0" "$@" 3<&"$COMMANDS" 4>&"$ANSWERS"', run.found["chromium"], *OPTIONS,
                                 f"--user-data-dir={run.folder}/profile", "about:blank", pass_fds=(self.inside, outside))
        os.close(self.inside)
        os.close(outside)

    def receive(self):
        while b"\0" not in self.left:
            more = os.read(self.answers, 1 << 16)
            if not more:
                raise OSError("chromium has ended")
            self.left += more
        message, _, self.left = self.left.partition(b"\0")
        return json.loads(message)

    def ask(self, method, session=None, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.last:
            pass
        return answer["result"]


def work(run):
    run.version = " ".join(run.output("chromium", "--version").split()[:2]).lower()
    page = run.program("page.html")
    browser = Browser(run)
    run.watch(browser.process)
    for _ in range(10):
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.ask("Page.enable", session)
        browser.ask("Page.navigate", session, url=f"file://{page}")
        while browser.receive().get("method") != "Page.loadEventFired":
            pass
        run.say(hashlib.sha256(browser.ask("Runtime.evaluate", session, expression=LOOK)["result"]["value"].encode()).hexdigest())
        picture = browser.ask("Page.captureScreenshot", session, format="png")["data"]
        run.say(hashlib.sha256(picture.encode()).hexdigest())
        browser.ask("Target.closeTarget", targetId=target)
    run.rest()
    browser.ask("Browser.close")
    if browser.process.wait() != 0:
        run.fail(f"chromium ended with status {browser.process.returncode}")
