"""A headless Chromium, driven by chromedriver's HTTP; nothing of PyPI.

`Browser` is a context: `with Browser() as browser: browser.open(url)`.
"""

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request


class Browser:
    def __init__(self, width=1280, height=900):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        self.base = self.session = None
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                self.base = f"http://127.0.0.1:{found[1]}"
                break
        assert self.base, "chromedriver does not start"
        # As root Chromium runs without its own sandbox only; and small /dev/shm are common in CI.
        arguments = ["--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
                     "--disable-background-networking", f"--window-size={width},{height}"]
        logs = {"performance": "ALL", "browser": "ALL"}
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": logs}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = answer["sessionId"]
        self.size(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self.call("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from None

    def do(self, path, body):
        return self.call("POST", f"/session/{self.session}{path}", body)

    def open(self, url):
        self.do("/url", {"url": url})

    def run(self, script, *arguments):
        """What a piece of JavaScript returns."""
        return self.do("/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, seconds=60):
        """Waits until a piece of JavaScript returns something true, and returns it."""
        end = time.monotonic() + seconds
        while True:
            if value := self.run(script, *arguments):
                return value
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            time.sleep(0.05)

    def tool(self, command, **parameters):
        """A command of the DevTools."""
        return self.do("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def press(self, key):
        """A key, as a keyboard sends it: `Tab`, `Enter`, `Escape`, `ArrowDown`."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ["keyDown", "keyUp"]:
            self.tool("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)
            text = {}

    def size(self, width, height):
        self.tool("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """`light` or `dark`."""
        self.tool("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def log(self, kind):
        """What was logged since the last call: `browser` or `performance`."""
        return self.do("/se/log", {"type": kind})

    def screenshot(self):
        """A PNG of what is seen."""
        return base64.b64decode(self.call("GET", f"/session/{self.session}/screenshot"))
