// The TypeScript SDK's client, worked by lines: reads {"tool", "arguments"} from stdin, an object a line, and prints what the
// server answered, or {"error"}; a line without a tool lists the tools. Usage: node line.mjs URL TOKEN, or --stdio PROGRAM WORDS

import readline from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

function transport([first, second, ...words]) {
  if (first === "--stdio") return new StdioClientTransport({ command: second, args: words });
  return new StreamableHTTPClientTransport(new URL(first), { requestInit: { headers: { Authorization: `Bearer ${second}` } } });
}

const client = new Client({ name: "line", version: "1" });
await client.connect(transport(process.argv.slice(2)));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { tool, arguments: given } = JSON.parse(line);
  const asked = tool ? client.callTool({ name: tool, arguments: given }) : client.listTools();
  const answer = await asked.catch((error) => ({ error: String(error) }));
  console.log(JSON.stringify(answer));
}
await client.close();
