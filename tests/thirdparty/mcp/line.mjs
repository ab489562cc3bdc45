// The TypeScript SDK's client, worked by lines: reads {"tool", "arguments"} from stdin, an object a line, and prints what the
// server answered, or {"error"}; a line without a tool lists the tools. Usage: node line.mjs URL TOKEN

import readline from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, token] = process.argv.slice(2);
const client = new Client({ name: "line", version: "1" });
const headers = { Authorization: `Bearer ${token}` };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { tool, arguments: given } = JSON.parse(line);
  const asked = tool ? client.callTool({ name: tool, arguments: given }) : client.listTools();
  const answer = await asked.catch((error) => ({ error: String(error) }));
  console.log(JSON.stringify(answer));
}
