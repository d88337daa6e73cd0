// Players and publishers written by others, as a page of another origin that has them: so CORS is tried, too.
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Everything that the page gets: `window.libraries`, and helpers that put a library's peer connection at `window.oneport.pc`. */
const ENTRY = `
  export * as medoozeWhip from 'whip-whep/whip.js';
  export * as medoozeWhep from 'whip-whep/whep.js';
  export { WHIPClient as EyevinnPublisher } from '@eyevinn/whip-web-client';
  export { WebRTCPlayer as EyevinnPlayer } from '@eyevinn/webrtc-player';
`;

// A library that keeps its peer connection to itself is looked at all the same.
const PAGE = `<!doctype html><title>libraries</title><video id="video" autoplay playsinline></video>
<script>
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...given) { super(...given); window.oneport = { pc: this }; }
  };
</script>
<script src="/libraries.js"></script>`;

/** A server of the page on a port of its own. `origin`, and `close()`. */
export async function serveLibraries() {
  const { outputFiles: [script] } = await build({
    stdin: { contents: ENTRY, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true, format: 'iife', globalName: 'libraries', platform: 'browser', write: false, logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  const server = http.createServer(({ url }, response) => {
    const isScript = url === '/libraries.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script.text : PAGE);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
