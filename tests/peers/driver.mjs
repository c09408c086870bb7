// What the drivers of all senders and receivers have in common. A driver is told by its arguments, and reports one line of JSON.
import net from 'node:net';

const HOST = '127.0.0.1';

// Some servers take no address and would listen on all of this machine's.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (first, ...more) {
  if (typeof first === 'number') return listen.call(this, { port: first, host: HOST }, ...more.filter((one) => typeof one === 'function'));
  return listen.call(this, { ...first, host: HOST }, ...more);
};

export const [port, count] = process.argv.slice(2).map(Number);
export { HOST as host };

export function message(number) {
  const account = number % 40;
  return [
    `MSH|^~\\&|CABINET|OR|SUTURE|GENERAL|20260512090210||DFT^P03^DFT_P03|S${number}|P|2.5.1||||||UNICODE UTF-8`,
    'EVN|P03|20260512090210',
    `PID|1||7${account}^^^GENERAL^MR||Müller^Zoë|||||||||||||${account}`,
    `FT1|1|S${number}||20260512090210||CG|IMP-1|||1`,
  ].join('\r');
}

export function report(found, then) {
  process.stdout.write(`${JSON.stringify(found)}\n`, then);
}

// A sender: send(number) gives [MSA-1, MSA-2] of the answer.
export async function sendAll(send) {
  const codes = {};
  let foreign = 0;
  for (let number = 0; number < count; number++) {
    const [code, of] = await send(number);
    codes[code] = (codes[code] ?? 0) + 1;
    foreign += of !== `S${number}`;
  }
  await new Promise((resolve) => report({ codes, foreign }, resolve));
}

// A receiver: says its port when it listens, and what it took when its input ends.
export const taken = [];

export function serve(at) {
  report({ port: at });
  process.stdin.resume().on('end', () => report({ taken }, () => process.exit(0)));
}

export async function freePort() {
  const probe = net.createServer();
  await new Promise((resolve) => probe.listen(0, resolve));
  const at = probe.address().port;
  await new Promise((resolve) => probe.close(resolve));
  return at;
}
