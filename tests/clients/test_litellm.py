"""LiteLLM, which speaks to vLLM as `hosted_vllm`."""

import json

import litellm
import pytest


@pytest.fixture(scope="module")
def asked(server):
    return dict(model="hosted_vllm/tiny", api_base=server.url + "/v1", api_key="secret")


def test_chats_whole_and_streamed(asked):
    messages = [{"role": "user", "content": "Hello"}]
    whole = litellm.completion(**asked, messages=messages, max_tokens=12, temperature=0)
    assert whole.usage.completion_tokens == 12
    chunks = litellm.completion(
        **asked, messages=messages, max_tokens=12, temperature=0, stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content


def test_plain_completions(asked):
    answer = litellm.text_completion(**asked, prompt="It was", max_tokens=6)
    assert answer.choices[0].text


@pytest.mark.usefixtures("structured")
def test_structured_answers(asked):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["n"],
        "additionalProperties": False,
    }
    answer = litellm.completion(
        **asked,
        messages=[{"role": "user", "content": "A digit?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "d", "schema": schema}},
        max_tokens=60,
    )
    assert 0 <= json.loads(answer.choices[0].message.content)["n"] <= 9


def test_a_missing_model_is_a_not_found_error(asked):
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**{**asked, "model": "hosted_vllm/other"}, messages=[{"role": "user", "content": "a"}])
