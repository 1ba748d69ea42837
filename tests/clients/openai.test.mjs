// The official OpenAI SDK for JavaScript. TOUCHSTONE_URL: the server; its key is "secret".
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({
  baseURL: process.env.TOUCHSTONE_URL + "/v1",
  apiKey: "secret",
  maxRetries: 0,
});
const messages = [{ role: "user", content: "What is the weather in Rome?" }];
const structured = process.env.TOUCHSTONE_STRUCTURED === "1";

test("models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["tiny"]);
});

test("a stream says what the whole answer says", async () => {
  const request = { model: "tiny", messages, max_tokens: 24, temperature: 0 };
  const whole = await client.chat.completions.create(request);
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("a stream that is given up frees its request", async () => {
  const stream = await client.completions.create({
    model: "tiny",
    prompt: "It was",
    max_tokens: 1500,
    stream: true,
  });
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    break;
  }
  let running = 1;
  for (const end = Date.now() + 20000; running !== 0 && Date.now() < end; ) {
    const metrics = await (await fetch(process.env.TOUCHSTONE_URL + "/metrics")).text();
    running = Number(/^vllm:num_requests_running\{[^}]*\} (\S+)/m.exec(metrics)[1]);
  }
  assert.equal(running, 0);
});

test("errors have their types", async () => {
  await assert.rejects(client.completions.create({ model: "other", prompt: "a" }), OpenAI.NotFoundError);
  const wrong = new OpenAI({ baseURL: process.env.TOUCHSTONE_URL + "/v1", apiKey: "x", maxRetries: 0 });
  await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);
});

test("a tool that must be called is run by the helper", { skip: !structured }, async () => {
  const cities = [];
  const runner = client.chat.completions.runTools({
    model: "tiny",
    messages,
    max_tokens: 200,
    tool_choice: { type: "function", function: { name: "weather" } },
    tools: [
      {
        type: "function",
        function: {
          name: "weather",
          parse: JSON.parse,
          function: ({ city }) => {
            cities.push(city);
            return "rain";
          },
          parameters: {
            type: "object",
            properties: { city: { type: "string", enum: ["Oslo", "Rome"] } },
            required: ["city"],
            additionalProperties: false,
          },
        },
      },
    ],
  });
  await runner.done();
  assert.ok(["Oslo", "Rome"].includes(cities[0]), JSON.stringify(cities));
});

test("zod schemas are answered", { skip: !structured }, async () => {
  const Book = z.object({ title: z.string().max(20), year: z.number().int().min(1000).max(2030) });
  const answer = await client.chat.completions.parse({
    model: "tiny",
    messages,
    max_tokens: 300,
    response_format: zodResponseFormat(Book, "book"),
  });
  assert.ok(answer.choices[0].message.parsed.year >= 1000);
});

test("responses are streamed, stored and gone on from", async () => {
  const stream = await client.responses.create({
    model: "tiny",
    input: "Hello",
    max_output_tokens: 8,
    stream: true,
  });
  let completed;
  for await (const event of stream) {
    if (event.type === "response.completed") completed = event.response;
  }
  const stored = await client.responses.retrieve(completed.id);
  assert.equal(stored.output_text, completed.output[0].content[0].text);
  const next = await client.responses.create({
    model: "tiny",
    input: "And then?",
    previous_response_id: completed.id,
    max_output_tokens: 8,
  });
  assert.equal(next.previous_response_id, completed.id);
});
