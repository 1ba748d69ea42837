"""LangChain's ChatOpenAI: chains, streams, tools, structured output."""

from typing import Literal

import pydantic
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI


@pytest.fixture(scope="module")
def model(server):
    return ChatOpenAI(
        model="tiny", base_url=server.url + "/v1", api_key="secret", max_tokens=200, max_retries=0
    )


def test_a_chain_answers_and_counts_tokens(model):
    chain = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{x}")]) | model
    answer = chain.invoke({"x": "Hello"})
    assert answer.content
    assert answer.usage_metadata["output_tokens"] > 0


def test_a_stream_adds_up(model):
    chunks = list(model.stream("Hello", stream_usage=True))
    assert len(chunks) > 2
    assert sum(len(chunk.content) for chunk in chunks) > 0


def test_plain_completions_work_too(server):
    plain = OpenAI(model="tiny", base_url=server.url + "/v1", api_key="secret", max_tokens=8)
    assert plain.invoke("It was")


@tool
def weather(city: Literal["Oslo", "Rome"]) -> str:
    """The weather of a city."""
    return f"rain in {city}"


@pytest.mark.usefixtures("structured")
def test_tools_are_called_and_answered(model):
    bound = model.bind_tools([weather], tool_choice="weather")
    question = HumanMessage("What is the weather in Rome?")
    called = bound.invoke([question], max_tokens=400)
    assert called.tool_calls and called.tool_calls[0]["name"] == "weather"
    assert called.tool_calls[0]["args"]["city"] in ("Oslo", "Rome")
    result = ToolMessage(weather.invoke(called.tool_calls[0]["args"]), tool_call_id=called.tool_calls[0]["id"])
    assert model.invoke([question, called, result]).type == "ai"


class Book(pydantic.BaseModel):
    """A book."""

    title: str = pydantic.Field(max_length=20)
    year: int = pydantic.Field(ge=1000, le=2030)


@pytest.mark.usefixtures("structured")
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_a_model(model, method):
    book = model.with_structured_output(Book, method=method).invoke("A book?", max_tokens=400)
    assert 1000 <= book.year <= 2030
