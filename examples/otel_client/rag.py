"""A small question-answering client over documents whose traces go on in the server.

The official OpenTelemetry SDK makes the client's spans, sends them to an OTLP endpoint and writes
the `traceparent` header of each request; a server with --otlp-traces-endpoint continues that trace,
so that one trace holds the question, what was looked up, the call and the server's `llm_request`.

    pip install openai opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    touchstone serve fixtures/models/touchstone-tiny --served-model-name tiny \
        --otlp-traces-endpoint http://127.0.0.1:4317
    python rag.py --base-url http://127.0.0.1:8000/v1 --endpoint http://127.0.0.1:4318/v1/traces \
        "Who wrote of the whale?"
"""

import argparse

import openai
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

DOCUMENTS = [
    "Herman Melville wrote of a captain who hunts a white whale.",
    "Mary Shelley wrote of a student who makes a living being.",
    "Bram Stoker wrote of a count who travels to England in a box of earth.",
    "Mark Twain wrote of a boy on a raft.",
]


def set_up_tracing(endpoint):
    provider = TracerProvider(resource=Resource.create({"service.name": "rag-client"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    return provider


def words(text):
    return {word.strip(".,?!").lower() for word in text.split()}


def retrieve(question, count=2):
    """The documents with most words of the question."""
    with trace.get_tracer("rag").start_as_current_span("rag.retrieve") as span:
        ranked = sorted(DOCUMENTS, key=lambda text: len(words(text) & words(question)), reverse=True)
        span.set_attribute("rag.documents", count)
        return ranked[:count]


def complete(client, model, messages):
    """One call of the model, as a client span that the server's own hangs under."""
    with trace.get_tracer("rag").start_as_current_span(
        f"chat {model}", kind=trace.SpanKind.CLIENT
    ) as span:
        headers = {}
        propagate.inject(headers)  # traceparent
        answer = client.chat.completions.create(
            model=model, messages=messages, max_tokens=32, extra_headers=headers
        )
        span.set_attribute("gen_ai.usage.input_tokens", answer.usage.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", answer.usage.completion_tokens)
        return answer.choices[0].message.content


def ask(client, model, question):
    """The answer, and the id of the trace that it is in."""
    with trace.get_tracer("rag").start_as_current_span("rag.ask") as span:
        context = "\n".join(retrieve(question))
        messages = [
            {"role": "system", "content": "Answer from these documents:\n" + context},
            {"role": "user", "content": question},
        ]
        trace_id = format(span.get_span_context().trace_id, "032x")
        return complete(client, model, messages), trace_id


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--endpoint", default="http://127.0.0.1:4318/v1/traces")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("question")
    arguments = parser.parse_args()
    provider = set_up_tracing(arguments.endpoint)
    client = openai.OpenAI(base_url=arguments.base_url, api_key=arguments.api_key)
    answer, trace_id = ask(client, arguments.model, arguments.question)
    print(answer)
    print(f"trace {trace_id}")
    provider.shutdown()


if __name__ == "__main__":
    main()
