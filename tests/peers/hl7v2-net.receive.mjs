import { HL7Server } from 'hl7v2-net';
import { freePort, serve, taken } from './driver.mjs';

const server = HL7Server.createServer();
server.on('error', (error) => console.error(error.message));
server.use(async (request) => {
  taken.push(request.message.header.field(10).getValue());
});
const at = await freePort();
await server.listen(at);
serve(at);
