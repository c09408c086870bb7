import { Hl7Message } from '@medplum/core';
import { Hl7Client } from '@medplum/hl7';
import { host, message, port, sendAll } from './driver.mjs';

const client = new Hl7Client({ host, port });
await sendAll(async (number) => {
  const answer = await client.sendAndWait(Hl7Message.parse(message(number)), { timeoutMs: 20_000 });
  const msa = answer.getSegment('MSA');
  return [msa.getField(1).toString(), msa.getField(2).toString()];
});
await client.close();
process.exit(0);
