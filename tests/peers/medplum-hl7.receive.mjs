import { Hl7Server } from '@medplum/hl7';
import { freePort, serve, taken } from './driver.mjs';

const enhanced = process.argv[4] === 'enhanced';
const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    taken.push(message.getSegment('MSH').getField(10).toString());
    setTimeout(() => connection.send(message.buildAck()), enhanced ? 5 : 0);
  });
  connection.addEventListener('error', ({ error }) => console.error(error.message));
});
const at = await freePort();
await server.start(at, undefined, enhanced);
serve(at);
