// Prints what the AI SDK's default model says: text, a stream, an object, and a second turn.
import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, streamText } from "ai";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const { url, key, picture } = JSON.parse(readFileSync(0, "utf8"));
const model = createOpenAI({ baseURL: `${url}/v1`, apiKey: key })("ocelli-local");
const question = {
  role: "user",
  content: [
    { type: "text", text: "What is in this picture?" },
    { type: "image", image: picture },
  ],
};
const more = { model, maxRetries: 0 };
const first = await generateText({ ...more, messages: [question] });
let streamed = "";
for await (const text of streamText({ ...more, messages: [question] }).textStream) streamed += text;
const schema = z.object({ description: z.string(), tags: z.array(z.string()) });
const { object } = await generateObject({ ...more, schema, messages: [question] });
const again = { role: "user", content: "Which colours are there?" };
const messages = [question, ...first.response.messages, again];
const second = await generateText({ ...more, messages });
const cut = await generateText({ ...more, maxOutputTokens: 2, messages: [question] });
console.log(
  JSON.stringify({ first: first.text, streamed, object, second: second.text, cut: cut.finishReason }),
);
