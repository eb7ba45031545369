"""Pictures at home: an outage ends in one, a private call never leaves, litellm has no part in it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight import AllTargetsFailed, load
from pilotlight.errors import InvalidCall
from pilotlight.health.checks import check_target
from pilotlight.providers.pictures.request import by_openai, by_txt2img, of_txt2img
from pilotlight_chaos import ChaosServer

COLOURS = ["sync", "async"]
SERVERS = {
    "openai": ("openai/sd-turbo", "/v1", "/images/generations"),
    "automatic1111": ("automatic1111/sd_xl_base_1.0", "", "/sdapi/v1/txt2img"),
}


@pytest.fixture(scope="module")
def running():
    with ChaosServer() as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


def app_of(server, kind, **more):
    model, end, _ = SERVERS[kind]
    home = {"model": model, "api_base": server.base("home") + end, "local_addresses": ["127.0.0.1"]}
    cloud = {
        "model": "openai/gpt-image-1",
        "api_base": server.base("cloud") + "/v1",
        "api_key": "k",
    }
    cloud["retry"] = {"max_retries": 0}
    targets = {"cloud": cloud, "home": {**home, **more}}
    routes = {"pictures": {"targets": ["cloud", "home"]}, "house": {"targets": ["home"]}}
    return load({"targets": targets, "routes": routes})


def draw(route, colour, **options):
    if colour == "sync":
        return route.image("a lamp in a window", **options)
    return asyncio.run(route.aimage("a lamp in a window", **options))


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("outage", ["server_error", "quota", "auth", "overloaded"])
@pytest.mark.parametrize("kind", SERVERS)
def test_an_outage_ends_in_a_picture(server, kind, outage, colour):
    server.fault("cloud", outage)
    with app_of(server, kind) as app:
        answer = draw(app.route("pictures"), colour, n=2, size="512x768")
    assert answer.served_by == "home"
    assert len(answer.images) == 2 and all(each.b64_json for each in answer.images)
    (asked,) = server.requests("home")
    assert asked.path.endswith(SERVERS[kind][2])
    assert asked.body["prompt"] == "a lamp in a window"


@pytest.mark.parametrize("kind", SERVERS)
def test_an_answer_without_pictures_is_none(server, kind):
    server.fault("home", "empty", what="choices")
    with (
        app_of(server, kind, retry={"max_retries": 0}) as app,
        pytest.raises(AllTargetsFailed) as caught,
    ):
        app.route("house").image("a lamp")
    assert caught.value.receipt.attempts[0].fault == "empty_response"


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_private_picture_is_drawn_at_home_or_not_at_all(server, kind, colour):
    with app_of(server, kind) as app:
        assert draw(app.route("pictures"), colour, private=True).served_by == "home"
        server.fault("home", "server_error")
        with pytest.raises(AllTargetsFailed):
            draw(app.route("pictures"), colour, private=True)
    assert not server.requests("cloud")


@pytest.mark.parametrize("kind", SERVERS)
def test_what_is_not_listed_as_local_gets_no_private_call(server, kind):
    with (
        app_of(server, kind, local_addresses=[]) as app,
        pytest.raises(Exception, match=r"local|private"),
    ):
        app.route("pictures").image("a lamp", private=True)
    assert not server.requests("home")


FAULTS = {
    "server_error": {"server_error"},
    "cut": {"stream_truncated"},
    "truncated_json": {"malformed_response", "stream_truncated"},
    "captive_portal": {"malformed_response"},
    "not_found": {"model_not_found"},
    "overloaded": {"overloaded"},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_failure_is_told_for_what_it_is(server, kind, colour, fault):
    server.fault("home", fault)
    with (
        app_of(server, kind, retry={"max_retries": 0}) as app,
        pytest.raises(AllTargetsFailed) as caught,
    ):
        draw(app.route("house"), colour)
    assert caught.value.receipt.attempts[0].fault in FAULTS[fault]


def test_a_chat_is_not_sent_to_a_web_ui_for_pictures(server):
    with app_of(server, "automatic1111") as app, pytest.raises(AllTargetsFailed) as caught:
        app.route("house").complete([{"role": "user", "content": "hi"}])
    assert caught.value.receipt.skipped[0].reason == "unsupported"
    assert not server.requests("home")


@pytest.mark.parametrize("kind", SERVERS)
def test_its_places_are_counted(server, kind):
    with app_of(server, kind, concurrency=1, queue=0) as app:
        route = app.route("house")
        inside = route.targets[0].health.bulkhead.enter(None)
        with pytest.raises(AllTargetsFailed) as caught:
            route.image("a lamp")
        assert caught.value.receipt.skipped[0].reason == "saturated"
        inside.release()
        assert route.image("a lamp").images


@pytest.mark.parametrize(
    "model", ["sd_xl_base_1.0", "sd_xl_base_1.0.safetensors [31e35c80fc]", "other"]
)
def test_the_check_of_a_web_ui_reads_its_list_of_models(server, model):
    target = {
        "model": f"automatic1111/{model}",
        "api_base": server.base("home"),
        "health": "models",
    }
    with load({"targets": {"home": target}}) as app:
        check = check_target(app.target("home"))
    assert check.state == ("missing" if model == "other" else "ok")


def test_without_litellm(server):
    """In a process of its own, for others have imported it here."""
    code = (
        "import sys, json, pilotlight; app = pilotlight.load(json.loads(sys.argv[1]));"
        "assert app.route('r').image('a lamp').images; assert 'litellm' not in sys.modules"
    )
    for model, end, _ in SERVERS.values():
        home = {"model": model, "api_base": server.base("home") + end}
        told = json.dumps({"targets": {"home": home}, "routes": {"r": {"targets": ["home"]}}})
        subprocess.run([sys.executable, "-c", code, told], check=True, timeout=60)


# The two requests, as pure functions.

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(1, 10),
        "size": st.sampled_from(["auto", "512x512", "1024x768", None]),
        "quality": st.sampled_from(["hd", None]),
        "style": st.just("vivid"),
        "response_format": st.just("b64_json"),
        "steps": st.integers(1, 50),
        "negative_prompt": st.text(max_size=9),
        "extra_body": st.dictionaries(
            st.sampled_from(["seed", "cfg_scale"]), st.integers(), max_size=2
        ),
        "override_settings": st.just({"CLIP_stop_at_last_layers": 2}),
    },
)


@given(OPTIONS)
def test_nothing_of_a_call_is_lost_without_a_word(options):
    given = {k: v for k, v in options.items() if v is not None and k != "extra_body"}
    given |= options.get("extra_body") or {}
    assert by_openai("m", "p", options) == {**given, "model": "m", "prompt": "p"}
    body, lost = by_txt2img("m", "p", options)
    assert body["prompt"] == "p" and body["override_settings"]["sd_model_checkpoint"] == "m"
    for name, value in given.items():
        if name in lost or name in ("response_format", "override_settings"):
            continue
        if name == "size":
            sides = f"{body.get('width')}x{body.get('height')}"
            assert value == ("auto" if "width" not in body else sides)
        else:
            assert body["batch_size" if name == "n" else name] == value
    assert set(lost) == given.keys() & {"quality", "style"}


@pytest.mark.parametrize(
    "option", [{"size": "big"}, {"size": 5}, {"size": "0x5"}, {"response_format": "url"}]
)
def test_what_it_can_not_be_asked_is_told(option):
    with pytest.raises(InvalidCall):
        by_txt2img("m", "p", option)


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3))
)
def test_any_json_is_an_answer(images):
    found = of_txt2img({"images": images})["data"]
    assert all(isinstance(each["b64_json"], str) for each in found)
