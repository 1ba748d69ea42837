"""The official OpenAI SDK for Python."""

import json

import openai
import pydantic
import pytest

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
QUESTION = [{"role": "user", "content": "What is the weather in Rome?"}]


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="secret", max_retries=0)


def test_models_are_listed(client):
    models = client.models.list()
    assert [model.id for model in models] == ["tiny"]
    assert client.models.list().data[0].object == "model"


def test_a_wrong_key_is_an_authentication_error(server):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.url + "/v1", api_key="wrong").models.list()


def test_completions_with_logprobs_and_several_choices(client):
    answer = client.completions.create(
        model="tiny", prompt="It was a cold evening", max_tokens=8, n=2, logprobs=2, seed=1
    )
    assert len(answer.choices) == 2
    assert answer.usage.completion_tokens == 16
    assert len(answer.choices[0].logprobs.tokens) == 8
    assert answer.choices[0].finish_reason == "length"


def test_a_stream_says_what_the_whole_answer_says(client):
    request = dict(model="tiny", messages=QUESTION, max_tokens=24, temperature=0)
    whole = client.chat.completions.create(**request)
    stream = client.chat.completions.create(
        **request, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


def test_the_stream_helper_gathers_a_completion(client):
    with client.chat.completions.stream(
        model="tiny", messages=QUESTION, max_tokens=12, temperature=0
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content


def test_errors_have_their_types(client):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.completions.create(model="other", prompt="a")
    assert unknown.value.param == "model"
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="tiny", prompt="a", temperature=9)


@pytest.mark.usefixtures("structured")
def test_a_tool_that_must_be_called_is(client):
    answer = client.chat.completions.create(
        model="tiny", messages=QUESTION, tools=[WEATHER], tool_choice="required", max_tokens=200
    )
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    follow_up = QUESTION + [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    again = client.chat.completions.create(model="tiny", messages=follow_up, max_tokens=8)
    assert again.choices[0].message.role == "assistant"


@pytest.mark.usefixtures("structured")
def test_a_streamed_tool_call_is_the_whole_one(client):
    named = {"type": "function", "function": {"name": "weather"}}
    with client.chat.completions.stream(
        model="tiny", messages=QUESTION, tools=[WEATHER], tool_choice=named, max_tokens=200
    ) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments)["city"] in ("Oslo", "Rome")


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=12)
    age: int = pydantic.Field(ge=0, le=120)
    nickname: str | None = pydantic.Field(max_length=6)


@pytest.mark.usefixtures("structured")
def test_parse_gives_a_pydantic_model(client):
    answer = client.chat.completions.parse(
        model="tiny", messages=QUESTION, response_format=Person, max_tokens=300
    )
    person = answer.choices[0].message.parsed
    assert 0 <= person.age <= 120


def test_responses_whole_streamed_and_gone_on_from(client):
    first = client.responses.create(model="tiny", input="Hello", max_output_tokens=8)
    assert first.object == "response"
    assert first.output_text
    events = list(
        client.responses.create(model="tiny", input="Hello", max_output_tokens=8, stream=True)
    )
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    second = client.responses.create(
        model="tiny", input="And then?", previous_response_id=first.id, max_output_tokens=8
    )
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens
    assert client.responses.retrieve(first.id).output_text == first.output_text


def test_a_response_in_the_background_is_retrieved_or_cancelled(client):
    queued = client.responses.create(
        model="tiny", input="Hello", max_output_tokens=16, background=True
    )
    assert queued.status == "queued"
    while (now := client.responses.retrieve(queued.id)).status in ("queued", "in_progress"):
        pass
    assert now.status in ("completed", "incomplete")
    long = client.responses.create(
        model="tiny",
        input="Hello",
        max_output_tokens=1800,
        background=True,
        extra_body={"ignore_eos": True},
    )
    assert client.responses.cancel(long.id).status == "cancelled"
    assert client.responses.retrieve(long.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(now.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_unknown")


@pytest.mark.usefixtures("structured")
def test_responses_parse_gives_a_pydantic_model(client):
    answer = client.responses.parse(
        model="tiny", input="Who?", text_format=Person, max_output_tokens=300
    )
    assert 0 <= answer.output_parsed.age <= 120


@pytest.mark.asyncio
async def test_the_asynchronous_client_streams_many_at_once(server):
    import asyncio

    client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="secret")

    async def one(seed):
        stream = await client.completions.create(
            model="tiny", prompt="Once", max_tokens=16, stream=True, seed=seed
        )
        return sum([1 async for chunk in stream if chunk.choices])

    counts = await asyncio.gather(*(one(seed) for seed in range(20)))
    assert all(counts)
    await client.close()
