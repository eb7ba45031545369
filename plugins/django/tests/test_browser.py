"""The pages in Chromium: content, keyboard, dark mode, without scripts, and nobody else asked."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from django_pilotlight.current_app import app
from django_pilotlight.models import FailoverEvent

from .conftest import config

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromium-driver is not here"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@contextmanager
def browsing(*, script: bool = True):
    """Give a browser that logs its console and its requests."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        if not script:
            browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def url(chaos, settings, live_server, transactional_db):
    settings.PILOTLIGHT = config(chaos)
    FailoverEvent.objects.create(
        kind="failed_over", route="default", target="gpt", to_target="local", reason="overloaded"
    )
    yield live_server.url
    connections.close_all()


def log_in(browser, url: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ann", password="x"))
    browser.get(f"{url}/llm/livez")
    cookie = client.cookies["sessionid"].value
    browser.add_cookie({"name": "sessionid", "value": cookie, "path": "/"})


def asked(browser) -> list[str]:
    """The addresses of all requests so far."""
    messages = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [each["params"]["request"]["url"] for each in sent]


def complaints(browser) -> list[str]:
    """What the console says; that the site has no favicon at its root is not the page's doing."""
    said = [each["message"] for each in browser.get_log("browser") if each["level"] != "INFO"]
    return [each for each in said if "/favicon.ico " not in each]


def wait(browser, condition) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda _: condition())


def test_the_status_page(url):
    with browsing() as browser:
        log_in(browser, url)
        browser.get(f"{url}/llm/")
        text = lambda: browser.find_element("tag name", "main").text  # noqa: E731
        assert "All routes are served by their first target." in text()
        assert "gpt → local" in text()
        # It follows what happens.
        app().target("gpt").health.breaker.trip("overloaded", 60)
        wait(browser, lambda: "Some routes are served by a fallback." in text())
        # By keyboard: first the way past the head, then its controls, then the tables.
        names = []
        for _ in range(7):
            browser.switch_to.active_element.send_keys("\ue004")
            element = browser.switch_to.active_element
            names.append(element.text.split("\n")[0] or element.get_attribute("aria-labelledby"))
        assert names[:4] == ["Skip to the status", "Pause", "Reload", "JSON"]
        regions = browser.find_elements("css selector", "[role=region]")
        assert browser.switch_to.active_element in regions
        # Pause stays where it is, and says that it is on.
        button = browser.find_element("id", "pause")
        button.send_keys("\ue007")
        assert button.get_attribute("aria-pressed") == "true"
        assert browser.find_element("id", "stale").is_displayed() is False
        assert complaints(browser) == []
        assert {each for each in asked(browser) if not each.startswith(url)} <= {"data:,"}


def test_light_and_dark(url):
    with browsing() as browser:
        log_in(browser, url)
        grounds = {}
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            browser.get(f"{url}/llm/")
            grounds[scheme] = {
                name: browser.execute_script(
                    "return getComputedStyle(document.querySelector(arguments[0])).color", name
                )
                for name in ("body", "a", ".state", "thead th", "small")
            } | {
                "ground": browser.execute_script(
                    "return getComputedStyle(document.body).backgroundColor"
                )
            }
        for colours in grounds.values():
            ground = colours.pop("ground")
            for name, colour in colours.items():
                assert contrast(colour, ground) >= 4.5, (name, colour, ground)
        assert grounds["light"]["body"] != grounds["dark"]["body"]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, by WCAG 2.2."""

    def luminance(colour: str) -> float:
        parts = [int(each) / 255 for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_without_scripts(url):
    with browsing(script=False) as browser:
        log_in(browser, url)
        browser.get(f"{url}/llm/")
        assert "All routes" in browser.find_element("tag name", "main").text
        assert browser.find_element("id", "pause").is_displayed() is False
        app().target("gpt").health.breaker.trip("overloaded", 60)
        browser.find_element("link text", "Reload").click()
        assert "Some routes" in browser.find_element("tag name", "main").text


def test_a_server_that_is_gone_is_said(url):
    with browsing() as browser:
        log_in(browser, url)
        browser.get(f"{url}/llm/")
        browser.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        stale = browser.find_element("id", "stale")
        wait(browser, stale.is_displayed)
        offline |= {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        wait(browser, lambda: not stale.is_displayed())


def test_the_admin_page(url):
    with browsing() as browser:
        log_in(browser, url)
        browser.get(f"{url}/admin/django_pilotlight/failoverevent/")
        assert "Events a day" in browser.find_element("tag name", "figure").text
        assert browser.find_elements("css selector", "svg rect")
        assert complaints(browser) == []
        assert {each for each in asked(browser) if not each.startswith(url)} <= {"data:,"}


def test_nothing_runs_on():
    assert not [each for each in threading.enumerate() if each.name == "django-pilotlight"]
