"""What the plugin gives to its users' tests."""

from __future__ import annotations

import pytest
from django.test import Client, SimpleTestCase, override_settings

from django_pilotlight import llm
from django_pilotlight.testing import assert_failed_over, override_llm
from pilotlight import AllTargetsFailed

HELLO = [{"role": "user", "content": "Hello"}]


def test_a_reply_and_what_was_asked():
    with override_llm("Hi") as script:
        assert llm().complete(HELLO).text == "Hi"
        assert script.prompts == {"gpt": [HELLO], "local": []}
        assert [each.served_by for each in script.receipts] == ["gpt"]


@pytest.mark.parametrize("fail", ["gpt", "openai", "openai/gpt-4o", ["gpt"], {"gpt": "overloaded"}])
def test_failures_by_target_model_or_provider(fail):
    with override_llm(fail=fail):
        assert llm().complete(HELLO).served_by == "local"
        receipt = assert_failed_over("default", to="local")
    assert receipt.attempts[0].fault == ("overloaded" if isinstance(fail, dict) else "server_error")


@override_llm(fail="openai")
def test_as_a_decorator():
    assert Client().get("/ask").json()["served_by"] == "local"
    assert_failed_over()


@override_llm(fail="openai", reply="from home")
class AsAClassDecorator(SimpleTestCase):
    def test_it_needs_no_database(self):
        assert self.client.get("/ask").json()["text"] == "from home"
        assert_failed_over("default", to="local")

    def test_each_test_begins_anew(self):
        with pytest.raises(AssertionError, match="calls: none"):
            assert_failed_over()


def test_what_did_not_fail_over():
    with pytest.raises(AssertionError, match="needs an override_llm"):
        assert_failed_over()
    with override_llm(fail=["gpt", "local"]), pytest.raises(AllTargetsFailed):
        llm().complete(HELLO)
    with override_llm():
        llm().complete(HELLO)
        with pytest.raises(AssertionError, match=r"calls: default: primary \(gpt\)"):
            assert_failed_over()
    with override_llm(fail="gpt"):
        llm().complete(HELLO)
        with pytest.raises(AssertionError, match="to 'elsewhere'"):
            assert_failed_over(to="elsewhere")


def test_one_inside_the_other():
    with override_llm("outer"):
        with override_llm("inner"):
            assert llm().complete(HELLO).text == "inner"
        assert llm().complete(HELLO).text == "outer"


def test_private_routes_stay_private():
    routes = {"default": {"targets": ["openai/gpt-4o", "ollama/llama3.2"], "private": True}}
    with override_settings(PILOTLIGHT={"ROUTES": routes}), override_llm():
        assert llm().complete(HELLO).served_by == "ollama/llama3.2"


def test_a_site_without_routes_has_one_all_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with override_settings(PILOTLIGHT={}), override_llm(fail="primary"):
        assert llm().complete(HELLO).served_by == "local"


def test_an_unknown_fault_is_refused_at_once():
    with pytest.raises(ValueError, match="broken"):
        override_llm(fail={"gpt": "broken"})


USERS_TEST = """
from django_pilotlight import llm
from django_pilotlight.testing import assert_failed_over

def test_it(override_llm):
    script = override_llm("Hi", fail="primary")
    assert llm().complete([{"role": "user", "content": "x"}]).text == "Hi"
    assert_failed_over(to="local")
    assert len(script.receipts) == 1
"""
SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["django_pilotlight"]
"""


def test_the_fixture_in_a_users_suite(tmp_path):
    import os
    import subprocess
    import sys

    (tmp_path / "mysettings.py").write_text(SETTINGS)
    (tmp_path / "test_mine.py").write_text(USERS_TEST)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mysettings",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "django_pilotlight.pytest_plugin", "-p", "pytest_django.plugin"]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
