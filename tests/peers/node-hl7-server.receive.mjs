import { Server } from 'node-hl7-server';
import { freePort, serve, taken } from './driver.mjs';

const at = await freePort();
const inbound = new Server({ bindAddress: '127.0.0.1' }).createInbound({ port: at }, async (request, response) => {
  taken.push(request.getMessage().get('MSH.10').toString());
  await response.sendResponse('AA');
});
inbound.on('data.error', (error) => console.error(error.message));
inbound.on('listen', () => serve(at));
