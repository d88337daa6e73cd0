// A second host: a network namespace behind a veth pair. Some clients never offer 127.0.0.1, some send nothing to it.
import { execFileSync } from 'node:child_process';

// A subnet of this process's own: a pair that an interrupted run has left, or another run's, must not take its packets.
const subnet = process.pid % 16384;
const address = (host) => `10.203.${subnet >> 6}.${(subnet % 64) * 4 + host}`;

/** Addresses of the pair: the server's side, in this namespace, and the other host's. */
export const SERVER = address(1);
const CLIENT = address(2);
const root = process.getuid() === 0 ? [] : ['sudo', '-n'];

/** Runs a command that needs to be root. */
export function asRoot(...command) {
  const [program, ...args] = [...root, ...command];
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Makes the second host. `command(…)` is a command line that runs there; `remove()` takes it away again. */
export function secondHost() {
  const namespace = `oneport-${process.pid}`;
  const link = `op${process.pid}`;
  asRoot('ip', 'netns', 'add', namespace);
  asRoot('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  asRoot('ip', 'address', 'add', `${SERVER}/30`, 'dev', link);
  asRoot('ip', 'link', 'set', link, 'up');
  asRoot('ip', '-n', namespace, 'address', 'add', `${CLIENT}/30`, 'dev', 'eth0');
  asRoot('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
  asRoot('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
  return {
    command: (...args) => [...root, 'ip', 'netns', 'exec', namespace, ...args.map(String)],
    // The pair goes with the namespace.
    remove: () => asRoot('ip', 'netns', 'delete', namespace),
  };
}
