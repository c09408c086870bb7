import hl7 from 'simple-hl7';
import { freePort, serve, taken } from './driver.mjs';

const app = hl7.tcp();
app.use((request, response, next) => {
  taken.push(request.msg.getSegment ? request.msg.header.getField(8).toString() : '');
  next();
});
app.use((request, response) => response.end());
app.use((error, request, response, next) => console.error(error.message));
const at = await freePort();
app.start(at);
serve(at);
