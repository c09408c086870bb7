import hl7 from 'simple-hl7';
import { host, message, port, sendAll } from './driver.mjs';

const client = hl7.Server.createTcpClient({ host, port, keepalive: true, callback: () => {} });
const parser = new hl7.Parser();
await sendAll(
  (number) =>
    new Promise((resolve, reject) =>
      client.send(parser.parse(message(number)), (error, answer) => {
        if (error) return reject(error);
        const msa = answer.getSegment('MSA');
        resolve([msa.getField(1).toString(), msa.getField(2).toString()]);
      }),
    ),
);
client.close();
process.exit(0);
