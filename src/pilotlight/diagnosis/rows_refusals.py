"""The rows of refusals: the provider understood the request and does not serve it.

Blocked content, requests too large, keys, money and missing models.  See
`rows_faults.py` for how the rows are ordered and matched.
"""

from __future__ import annotations

from typing import Final

from pilotlight.diagnosis.row import CLIENT, REFUSED, SERVER, row
from pilotlight.vocabulary.faults import Fault

_LONG_GONE = (
    r"(?:has been|have been|was|were|been|is|are)(?: now| already)? "
    r"(?:deprecated|retired|decommissioned|discontinued|sunset(?:ted)?|shut ?down|removed)"
    r"|no longer (?:available|supported|offered|served|accessible|exists?)"
    r"|(?:reached (?:its |the )?|\bis )end[- ]of[- ]life|reached the end of its life"
)

# "For this model, the parameter `functions` has been deprecated" retires no model.
_NO_PARAMETER = r"(?:(?!param|field|option|argument|setting|propert|attribute)[^\n]){0,120}?"

BLOCKED: Final = (
    row(
        Fault.CONTENT_BLOCKED,
        "Azure content filter; OpenAI invalid_prompt, moderation_blocked",
        code=r"content_?filter|content_?policy|responsibleaipolicy|invalid_prompt|"
        r"moderation|safety|guardrail|prohibited_content|recitation|data_?inspection_?failed|"
        r"policy_?violation|sensitive|image_safety|cyber_policy",
    ),
    row(
        Fault.CONTENT_BLOCKED,
        "claude-code#58367; pal-mcp#178; xAI, DeepSeek, Moonshot, OpenRouter",
        REFUSED | SERVER | {451},
        r"content[- ](?:filter|policy|management policy|moderation)|content exists risk"
        r"|blocked by .{0,40}(?:filter|content|safety|moderation|guardrail)"
        r"|(?:flagged|rejected|blocked|refused).{0,60}(?:moderation|safety|unsafe|usage polic"
        r"|content polic|high risk|inappropriate|violat|guidelines)"
        r"|violat\w+ .{0,40}(?:polic(?:y|ies)|guidelines|terms)|your input was flagged"
        r"|(?:unsafe|inappropriate|harmful|sensitive) (?:content|input|prompt|words)"
        r"|safety system|responsible ai|(?:prompt|response|output) was blocked",
    ),
)

TOO_LARGE: Final = (
    row(
        Fault.CONTEXT_EXCEEDED,
        "OpenAI, OpenRouter, llama.cpp codes",
        code=r"context_(?:length|window|limit|size)|exceed_context|contextwindow|contextoverflow|"
        r"max_prompt_tokens|prompt_too_long|input_too_long|token_limit_exceeded",
    ),
    row(
        Fault.CONTEXT_EXCEEDED,
        "deer-flow#310, docker-agent#569, fast-agent#621; pi-ai overflow.ts",
        (CLIENT | {500, 503}) - {401, 402, 429},
        r"(?:maximum|max|available|model'?s?|model|supported|total) (?:allowed )?"
        r"(?:context|prompt|input|sequence|model) ?(?:length|window|size|tokens?)(?: is| of"
        r"|\b.{0,20}"
        r"exceed| limit|\W|$)|maximum (?:model|number of (?:input )?tokens)"
        r"|context (?:length|window|limit|size)\b.{0,40}(?:exceed|limit|overflow|only|is \d)"
        r"|exceed\w* .{0,60}\bcontext|longer than .{0,30}context|context .{0,10}overflow"
        r"|(?:prompt|input|request|messages?|conversation)(?: \w+)? (?:is|are) too long"
        r"|prompt too long|too many (?:input |prompt )?tokens|too large for model with"
        r"|input (?:token count|length).{0,60}(?:exceed|should be|must be)"
        r"|token count .{0,40}exceeds|tokens?.{0,30}exceeds? the (?:max|limit of)"
        r"|exceeded model token limit|maximum prompt length"
        r"|reduce (?:the|your) (?:length|prompt|input|number of tokens)"
        r"|inputs. tokens \+ .max_new_tokens|greater than the context|input is too long for",
    ),
    row(
        Fault.PAYLOAD_TOO_LARGE,
        "litellm exception_mapping_utils.py:468; Groq TPM",
        REFUSED | {429, 500},
        r"request (?:entity |body |is |payload )?too large|(?:payload|body) (?:is )?too large"
        r"|(?:payload|request|body|upload|file|image)\w* (?:size )?(?:\w+ ){0,3}exceeds? .{0,40}"
        r"(?:size|bytes|[mk]i?b\b|limit: \d)|larger than .{0,12}[mk]i?b\b"
        r"|exceeds the maximum size|string too long|max size: \d",
    ),
    row(
        Fault.PAYLOAD_TOO_LARGE,
        "docs.claude.com/en/api/errors; Stability v2beta",
        code=r"request_too_large|payload_too_large|entity_?too_?large|string_above_max|too_large\b|"
        r"tokens_limit_reached",
    ),
    row(Fault.PAYLOAD_TOO_LARGE, "RFC 9110; RFC 6585", {413, 414, 431}),
)

KEY: Final = (
    row(
        Fault.QUOTA_EXHAUSTED,
        "Fireworks 412, Moonshot: suspended for want of money",
        CLIENT,
        r"(?:suspended|disabled|deactivated|not active)\b.{0,120}"
        r"(?:\bspend|invoice|billing|payment|balance|credit)",
    ),
    row(
        Fault.PERMISSION_DENIED,
        "home-assistant#120072; Gemini FAILED_PRECONDITION; OpenAI",
        CLIENT,
        r"(?:country|countries|region|territory|location)\b.{0,40}"
        r"(?:not (?:supported|available|allowed)|unsupported|restricted)"
        r"|not (?:available|supported) in your (?:country|region|location|territory)"
        r"|unsupported (?:country|region)|must be verified"
        r"|ip (?:address )?(?:is )?not (?:authorized|"
        r"allowed)|not allowed from (?:this|your)|(?:organization|account|project|consumer|team)\b"
        r".{0,30}(?:has been|is|was) (?:disabled|suspended|deactivated|banned)"
        r"|virtual network|firewall rules|only authorized for use with"
        r"|has not been used in project",
    ),
    row(
        Fault.PERMISSION_DENIED,
        "OpenAI, Google ErrorInfo reasons",
        code=r"unsupported_country|ip_not_authorized|service_disabled|api_key_\w+_blocked|"
        r"access_terminated|\w+_suspended|location_",
    ),
    row(
        Fault.AUTH_FAILED,
        "gemini-cli#25198; DashScope, Bedrock, Moonshot, OpenAI codes",
        code=r"api_?key_?(?:invalid|expired|not_found)|(?:invalid|incorrect|expired|missing)_?"
        r"(?:x_?)?(?:api_?key|auth\w*|token|signature|credential\w*|subscription\w*)"
        r"|authentication|"
        r"unauthenticated|unauthorized|unrecognizedclient|expiredtoken|invalidsignature|"
        r"invalidclienttoken|access_token_|token_expired|account_deactivated|no_api_key",
    ),
    row(
        Fault.AUTH_FAILED,
        "continue#10290, #11541; xAI's 400 for a wrong key; Bedrock, Cohere",
        CLIENT - {429},
        r"api[- ]?key\b.{0,30}(?:not (?:found|valid)|invalid|expired|incorrect|revoked|missing"
        r"|leaked"
        r"|required|disabled|deleted|malformed|must be set|is wrong)"
        r"|(?:invalid|incorrect|wrong|missing|expired|revoked|no|unknown|bad|malformed|without"
        r"|valid)"
        r" (?:\w+ ){0,2}(?:x-)?(?:api[- ]?key|api[- ]token|access token|auth\w* token|bearer|"
        r"credentials?|subscription key|security token|authorization|authentication)"
        r"|reported as leaked|(?:access|auth|oauth|bearer|api|id|refresh|session|your|this"
        r"|the) token (?:has |is |was )?(?:been )?(?:expired|revoked|invalid)"
        r"|security token .{0,40}(?:invalid|expired)|no auth credentials|authentication fail"
        r"|not authenticated|unregistered callers|could not validate credentials",
    ),
)

MONEY: Final = (
    # Gemini says "check your plan and billing details" for every limit, so its quota id and
    # the limit itself decide, and what is left waits.
    row(
        Fault.QUOTA_EXHAUSTED,
        "gemini-cli#8437; continue#10062; quill-router#287",
        {429, None},
        r"per_?day|limit: 0(?![.\d])|spend(?:ing)? cap|prepa(?:id|y)|depleted",
        code="resource_exhausted",
    ),
    row(
        Fault.RATE_LIMITED,
        "Gemini and Vertex RESOURCE_EXHAUSTED",
        {429, None},
        code="resource_exhausted",
    ),
    row(
        Fault.QUOTA_EXHAUSTED,
        "OpenAI, Anthropic, Stability, DashScope, Bedrock, Google codes",
        code=r"insufficient_?(?:quota|balance|credit|funds|user_quota)|billing|payment_required|"
        r"quota_?exceeded|exceeded_current_quota|quota_exhausted|credits?_|arrearage|servicequota|"
        r"(?<!su)spend|usage_limit|free-models-per-day|allocationquota|out_of_credits",
    ),
    row(
        Fault.QUOTA_EXHAUSTED,
        "NextChat#3664; claude-code#66314, #2127; Groq TPD; xAI; OpenRouter",
        {400, 401, 402, 403, 412, 429, None},
        r"insufficient (?:\w+ )?(?:quota|balance|credit|fund)|credit balance|billing"
        r"|(?:exceeded|exhausted|reached|used up|out of|hit) .{0,30}quota"
        r"|quota .{0,30}(?:exhausted|replenished|used up|is 0)|quota (?:exceeded|not enough)"
        r"|(?:out of|no|not enough|lack sufficient|any|more|add|remaining|available|purchase|buy)"
        r" (?:\w+ )?credits?\b|credits? (?:have been |are |is )?(?:exhausted|depleted|used)"
        r"|payment (?:required|method|information|overdue)|spend(?:ing)? (?:limit|cap)"
        r"|(?:usage|monthly|weekly|daily|annual|yearly|lifetime) .{0,24}(?:limits?|quota"
        r"|allowance|cap)"
        r"\b|limits? (?:per|for) (?:the |this )?(?:day|month|week)"
        r"|per[ -]?(?:day|month|week)\b|[/ ](?:day|month)\b.{0,40}limit|\b(?:tpd|rpd)\b"
        r"|extra usage is required|account is not active|(?:unpaid|failing) invoice|/ ?month\b"
        r"|(?:balance|funds) .{0,20}(?:insufficient|not enough|too low|depleted)"
        r"|额度不足|余额不足|欠费",
    ),
    row(
        Fault.QUOTA_EXHAUSTED,
        "RFC 9110 402; Stability, DeepSeek, OpenRouter; cPanel 509",
        {402, 509},
    ),
)

MODEL: Final = (
    row(
        Fault.MODEL_RETIRED,
        "Groq: Vane#771; Azure ModelDeprecated",
        code=r"model_?(?:decommissioned|deprecated|retired|discontinued|sunset|eol|archived)",
    ),
    row(
        Fault.MODEL_RETIRED,
        "bilingual_book_maker#371; ccLoad#107; Gemini 'no longer available'",
        REFUSED,
        rf"\b(?:model|deployment|engine)s?\b{_NO_PARAMETER}(?:{_LONG_GONE})"
        r"|marked by provider as legacy|(?:deprecated|retired|decommissioned) model",
    ),
    row(Fault.MODEL_RETIRED, "as above, where only a model can be meant", {404, 410}, _LONG_GONE),
    row(Fault.MODEL_RETIRED, "NemoClaw#11902; photoprism#5726", {410}),
    row(
        Fault.INVALID_REQUEST,
        "OpenAI: a thing the caller named is gone",
        {400, 404},
        r"previous[_ ]response|\b(?:file|thread|assistant|item|batch|vector store|response)\b"
        r" (?:with )?(?:id|name)?.{0,60}not found",
    ),
    row(
        Fault.MODEL_NOT_FOUND,
        "OpenAI, Mistral langchaingo#1233, Azure, Together codes",
        REFUSED,
        code=r"model_?(?:not_?found|not_?available|not_?exist|not_?supported)\b|"
        r"invalid_?model\b|deployment_?not_?found|unknown_model|no_such_model",
    ),
    row(
        Fault.MODEL_NOT_FOUND,
        "camel#834; DeepSeek, Bedrock, OpenRouter, Fireworks, Vertex",
        REFUSED,
        r"\bmodels?\b[^\n]{0,100}?(?:not found|does(?: not|n't) exist|not exist|is not a "
        r"valid model|is unknown|was not found)|(?:invalid|unknown|no such|nonexistent"
        r"|unrecognized) "
        r"model(?!.{0,12}(?:parameter|output|input))|not a valid model|no endpoints? found"
        r"|model identifier is invalid|invalid model (?:id|name)|not have access to (?:the )?model",
    ),
)
