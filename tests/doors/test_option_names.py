"""A slip in an option's name is told with the name that was meant; real names are never refused."""

from __future__ import annotations

import inspect

import litellm
import pytest
from litellm.types.utils import all_litellm_params
from openai.resources.chat.completions import Completions
from openai.resources.embeddings import Embeddings
from openai.resources.images import Images
from openai.resources.responses import Responses

from pilotlight import InvalidCall, failover
from pilotlight.doors import dropin
from pilotlight.routes.call_rules import OURS, slip
from pilotlight.routes.route import Route
from pilotlight.testing import ScriptedTarget

HELLO = [{"role": "user", "content": "hello"}]

# Of the references of the servers and providers, as far as no library here lists them.
ELSEWHERE = """
top_k min_p num_ctx typical_p num_predict n_predict num_keep n_keep repeat_last_n repeat_penalty
tfs_z mirostat mirostat_tau mirostat_eta penalize_newline numa num_gpu main_gpu num_thread
use_mmap use_mlock num_batch keep_alive think format raw truncate shift
dynatemp_range dynatemp_exponent dry_multiplier dry_base dry_allowed_length dry_penalty_last_n
dry_sequence_breakers xtc_probability xtc_threshold top_n_sigma samplers n_probs min_keep
post_sampling_probs grammar cache_prompt return_tokens id_slot t_max_predict_ms n_indent
response_fields lora timings_per_token reasoning_format chat_template_kwargs chat_template
use_beam_search length_penalty stop_token_ids include_stop_str_in_output min_tokens
skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens prompt_logprobs
allowed_token_ids bad_words guided_json guided_regex guided_choice guided_grammar
structural_tag structured_outputs echo continue_final_message add_special_tokens documents
mm_processor_kwargs request_id return_tokens_as_token_ids kv_transfer_params vllm_xargs
logits_processors cache_salt include_reasoning return_logprob logprob_start_len
top_logprobs_num token_ids_logprob return_text_in_logprobs custom_logit_processor regex ebnf
separate_reasoning stream_reasoning no_stop_trim min_new_tokens max_new_tokens rid
return_hidden_states do_sample top_n_tokens best_of return_full_text decoder_input_details
watermark details adapter_id top_a transforms models route provider plugins reasoning usage
max_tokens_to_sample stop_sequences system mcp_servers container betas context_management
topK topP maxOutputTokens stopSequences candidateCount responseMimeType responseSchema
thinkingConfig safetySettings safety_settings generation_config generationConfig cachedContent
cached_content system_instruction tool_config toolConfig labels responseLogprobs
presencePenalty frequencyPenalty speechConfig mediaResolution responseModalities maxTokens
safe_prompt random_seed prompt_mode document_image_limit search_parameters deferred
search_domain_filter search_recency_filter search_mode return_images return_related_questions
disable_tool_validation compound_custom exclude_domains include_domains citation_options
preamble connectors citation_quality k p prompt_truncation raw_prompting safety_mode
strict_tools input_type embedding_types output_dimension max_tokens_per_doc safety_model
repetition_penalty enable_thinking thinking_budget enable_search incremental_output dimension
output_type translation_options data_sources aws_region_name guardrailConfig performanceConfig
vertex_credentials project_id space_id user_id user_metadata meta_data tool_stream
task late_chunking normalized embedding_type outputDimensionality taskType auto_truncate
input_fidelity mask negative_prompt num_inference_steps guidance_scale num_images image_size
aspect_ratio safety_tolerance strength steps cfg_scale width height style_preset samples
tool_resources logprob log_probs store background timeout api_version
""".split()


def test_no_real_name_is_taken_for_a_slip():
    known = {*all_litellm_params, *ELSEWHERE}
    asks = (litellm.completion, litellm.embedding, litellm.image_generation)
    sdk = (Completions.create, Embeddings.create, Images.generate, Images.edit, Responses.create)
    for function in (*asks, *sdk):
        known |= set(inspect.signature(function).parameters)
    for kind in (getattr(litellm, name) for name in dir(litellm) if name.endswith("Config")):
        known |= set(getattr(kind, "__annotations__", ()))
    assert len(known) > 600
    assert {name: slip(name) for name in known - set(OURS) if slip(name)} == {}


SLIPS = [
    ("temprature", "temperature"), ("Temperature", "temperature"), ("max_token", "max_tokens"),
    ("max_completion_token", "max_completion_tokens"), ("maxtokens", "max_tokens"),
    ("tool_choise", "tool_choice"), ("respons_format", "response_format"),
    ("presense_penalty", "presence_penalty"), ("totl_timeout", "total_timeout"), ("total_timout", "total_timeout"),
    ("privte", "private"), ("Private", "private"), ("priorty", "priority"),
]  # fmt: skip


@pytest.fixture
def gpt(clock):
    return ScriptedTarget("gpt", clock=clock)


@pytest.mark.parametrize(("name", "meant"), SLIPS)
def test_a_slip_is_told_with_what_was_meant(gpt, clock, name, meant):
    route = Route("chat", (gpt,), clock=clock)
    asks = (route.complete, route.stream, route.astream)
    for ask, given in (*((ask, HELLO) for ask in asks), (route.embed, "x"), (route.image, "x")):
        with pytest.raises(InvalidCall, match=f"did you mean {meant}="):
            ask(given, **{name: 1})
    assert not gpt.calls


@pytest.mark.parametrize("name", ["top_k", "num_ctx", "unheard_of", "max_tokns_or_so"])
def test_other_names_go_on_to_the_provider(gpt, clock, name):
    Route("chat", (gpt,), clock=clock).complete(HELLO, **{name: 1})
    assert gpt.calls[0].options == {name: 1}


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("stream", True, "call stream"),
        ("model", "openai/gpt-4o", "name another route"),
        ("api_base", "http://elsewhere", r"targets\.<name>\.api_base"),
        ("fallbacks", ["x/y"], r"routes\.<name>\.targets"),
    ],
)
def test_what_a_call_has_another_way_for(gpt, clock, name, value, mend):
    with pytest.raises(InvalidCall, match=mend):
        Route("chat", (gpt,), clock=clock).complete(HELLO, **{name: value})
    assert not gpt.calls


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("stream_options", 5, "a dict"), ("extra_body", "x", "a dict"), ("metadata", [], "a dict"),
        ("extra_headers", True, "a dict"), ("logit_bias", [1], "a dict"), ("tools", {}, "a list"),
        ("tools", 5, "a list"), ("stop", 5, "a text or a list"), ("tool_choice", 1, "a text or"),
        ("response_format", "json", "a dict"), ("dimensions", "3", "a whole number"),
    ],
)  # fmt: skip
def test_options_of_a_wrong_shape(gpt, clock, name, wrong, told):
    route = Route("chat", (gpt,), clock=clock)
    for ask, given in ((route.complete, HELLO), (route.astream, HELLO), (route.embed, "x")):
        with pytest.raises(InvalidCall, match=f"{name} is a .*; it should be {told}"):
            ask(given, **{name: wrong})
        ask(given, **{name: None}) if ask is not route.astream else None
    assert len(gpt.calls) == 2


@pytest.mark.parametrize("name", ["timout", "total_timout", "deadline", "privte", "temprature"])
def test_the_drop_in_has_names_of_its_own(name):
    with pytest.raises(InvalidCall, match=r"did you mean|is no option of a call"):
        dropin.completion("openai/gpt-4o", HELLO, **{name: 1})


@pytest.mark.parametrize(
    "terms",
    [
        {"private": "no"}, {"private": 0}, {"total_timeout": True}, {"total_timeout": "3"},
        {"total_timeout": float("inf")}, {"total_timeout": float("nan")}, {"total_timeout": 1e308},
        {"priority": ["high"]}, {"priority": "urgent"}, {"priority": 1},
    ],
)  # fmt: skip
def test_terms_of_a_wrong_type(gpt, clock, terms):
    with pytest.raises(InvalidCall, match=next(iter(terms))):
        Route("chat", (gpt,), clock=clock).complete(HELLO, **terms)
    assert not gpt.calls


@pytest.mark.parametrize("terms", [{"total_timout": 1}, {"privte": True}, {"private": "no"}])
def test_the_decorator_refuses_them_at_once(gpt, clock, terms):
    with pytest.raises(TypeError, match=r"did you mean|should be True or False"):
        failover(Route("chat", (gpt,), clock=clock), **terms)
