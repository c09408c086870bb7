import { HL7Message } from 'hl7v2';
import { Hl7Client } from 'hl7v2-net';
import { host, message, port, sendAll } from './driver.mjs';

const client = Hl7Client.createClient({ host, port });
client.on('error', (error) => console.error(error.message));
await client.connect();
await sendAll(async (number) => {
  const answer = await client.sendMessageWaitAck(HL7Message.parse(message(number)));
  const msa = answer.getSegment('MSA');
  return [msa.field(1).getValue(), msa.field(2).getValue()];
});
await client.close(200);
process.exit(0);
