import { Client, Message } from 'node-hl7-client';
import { host, message, port, sendAll } from './driver.mjs';

const client = new Client({ host, version: '2.5.1' });
let heard;
const connection = client.createConnection({ port }, async (answer) => {
  const text = answer.getMessage();
  heard([text.get('MSA.1').toString(), text.get('MSA.2').toString()]);
});
connection.on('error', (error) => console.error(error.message));
await sendAll(async (number) => {
  const answered = new Promise((resolve) => (heard = resolve));
  await connection.sendMessage(new Message({ text: message(number) }));
  return answered;
});
await connection.close();
process.exit(0);
