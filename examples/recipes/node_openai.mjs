// Node's openai package through `pilotlight run`, which sets the address and the key.
import OpenAI from "openai";

const client = new OpenAI();
const messages = [{ role: "user", content: "Hello" }];
const answer = await client.chat.completions.create({ model: "gpt-4o", messages });
console.log("answer:", answer.choices[0].message.content);
const stream = await client.chat.completions.create({ model: "gpt-4o", messages, stream: true });
let text = "";
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
console.log("stream:", text);
