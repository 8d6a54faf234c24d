// A Node program is tested against the local server: npm install, then npm test. PYTHON names the Python that has
// realtime_sync[tls].
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';

let server;
let told;

before(async () => {
  // The official client dials wss whatever the URL says, so the server has to speak TLS.
  server = spawn(process.env.PYTHON ?? 'python3', ['-m', 'realtime_sync.local', '--tls'], {
    stdio: ['pipe', 'pipe', 'inherit'], // it ends with our end of its stdin
  });
  for await (const line of createInterface({ input: server.stdout })) {
    told = JSON.parse(line);
    break;
  }
});

after(() => server.stdin.end());

// fetch() would have to trust the certificate by NODE_EXTRA_CA_CERTS; https takes it here.
async function control(method, path, body) {
  const { request } = await import('node:https');
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? '' : JSON.stringify(body);
    const options = { method, ca: readFileSync(told.ca_file), headers: { 'Content-Length': Buffer.byteLength(payload) } };
    const call = request(`${told.control_url}/${path}`, options, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve(JSON.parse(text)));
    });
    call.on('error', reject);
    call.end(payload);
  });
}

// The program under test: asks for the weather, answers the tool call, returns what the model says then.
async function weather(city) {
  const client = new OpenAI({ apiKey: 'any', baseURL: told.base_url });
  const options = { ca: readFileSync(told.ca_file) };
  const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime', options }, client);
  return new Promise((resolve, reject) => {
    let said = '';
    realtime.on('error', reject);
    realtime.on('session.created', () => {
      realtime.send({
        type: 'session.update',
        session: { type: 'realtime', output_modalities: ['text'], tools: [{ type: 'function', name: 'get_weather' }] },
      });
      const content = [{ type: 'input_text', text: `How is the weather in ${city}?` }];
      realtime.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
      realtime.send({ type: 'response.create' });
    });
    realtime.on('response.output_text.delta', (event) => (said += event.delta));
    realtime.on('response.done', (event) => {
      const call = event.response.output.find((item) => item.type === 'function_call');
      if (call === undefined) {
        realtime.close();
        resolve(said);
        return;
      }
      const item = { type: 'function_call_output', call_id: call.call_id, output: '{"sky": "clear"}' };
      realtime.send({ type: 'conversation.item.create', item });
      realtime.send({ type: 'response.create' });
    });
  });
}

test('the answer is made of what the tool says', async () => {
  await control('POST', 'replies', [
    { tool_call: { name: 'get_weather', arguments: { city: 'Oslo' } } },
    { text: 'It is clear in Oslo.', delay_s: 0.05 },
  ]);
  assert.equal(await weather('Oslo'), 'It is clear in Oslo.');
  const { events } = await control('GET', 'received?type=conversation.item.create');
  assert.deepEqual(
    events.map((event) => event.item.output ?? event.item.content[0].text),
    ['How is the weather in Oslo?', '{"sky": "clear"}'],
  );
  assert.deepEqual(await control('GET', 'done'), { done: true, message: '' });
});

test('an error of the server is passed on', async () => {
  await control('POST', 'reset');
  await control('POST', 'faults', { fail_next: { type: 'session.update', message: 'Slow down.' } });
  await assert.rejects(weather('Rome'), /Slow down/);
});
