// Prints what OpenAI's client sees of a stream: its text, and the error that ends it.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const { url, key, model, script } = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 10_000 });
const messages = [{ role: "user", content: "What is it?" }];
const write = (text) => process.stdout.write(text);
try {
  const stream = await client.chat.completions.create({ model, messages, stream: true, script });
  for await (const chunk of stream) write(chunk.choices[0].delta.content ?? "");
} catch (error) {
  write(error.constructor.name);
}
process.exit(0);
