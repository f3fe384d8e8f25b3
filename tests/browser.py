"""A real browser for tests: headless Chromium with a profile of its own, where the machine has one."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Page", "browser"]

# In a container there is no user namespace for the sandbox; the rest keeps the browser from calling home.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,2400",
    # Every name but the loopback's leads nowhere: what still works, works offline.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_PATIENCE = 60.0


class Page:
    """One tab: what it shows, as text, and what it asked the network for."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.addresses: list[str] = []

    def open(self, url: str) -> None:
        self.driver.get_log("performance")  # the empty tab's own
        self.driver.get(url)

    def scheme(self, name: str) -> None:
        """`"dark"` or `"light"`: what the reader's system prefers."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    @property
    def text(self) -> str:
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def wait(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until `holds`; a page that has just been drawn again is asked once more."""
        from selenium.common.exceptions import WebDriverException

        end = time.monotonic() + _PATIENCE
        while True:
            try:
                if found := holds():
                    return found
            except WebDriverException:
                pass
            assert time.monotonic() < end, f"{what} never came; the page says:\n{self.text}"
            time.sleep(0.05)

    def shows(self, *texts: str) -> None:
        for text in texts:
            self.wait(partial(self._has, text), text)

    def _has(self, text: str) -> bool:
        return text in self.text

    def foreign(self) -> list[str]:
        """Addresses outside this machine that the page asked for."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.addresses.append(message["params"]["request"]["url"])
        own = ("http://127.0.0.1:", "file:", "data:", "blob:", "chrome:", "about:", "devtools:")
        return [address for address in self.addresses if not address.startswith(own)]

    def picture(self, file: Path) -> Path:
        assert self.driver.save_screenshot(str(file))
        return file


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A tab of a fresh Chromium; the test is skipped where there is none, or no selenium to drive it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    chromium, driver = next(filter(None, found), None), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    tab = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Page(tab)
    finally:
        tab.quit()
