// The publisher's page: picks camera, microphone or screen, and sends them by WHIP.
import { WhipSession, RefusedError, videoCodecs } from './client.js';
import { byId, query, streamPath, showState, showError, showFigures, connectionFailure, patience, Figures } from './page.js';

const path = streamPath();
let session;
let media;
let timer;
let calm = () => {};
/** What start() works for. Stop takes it away, and whatever start() still waits for then must come to nothing. */
let attempt;

/** What getUserMedia's errors mean. */
const CAPTURE_ERRORS = {
  NotAllowedError: 'The browser was not allowed to use it. Permit camera and microphone for this page (the symbol beside the address) and try again.',
  NotFoundError: 'There is no such camera or microphone. Choose another one.',
  NotReadableError: 'The camera or microphone is in use by another program, or does not answer.',
  OverconstrainedError: 'The camera cannot do that resolution or frame rate. Choose a lower one.',
  AbortError: 'The device stopped before it started. Try again.',
};

function inWords(error) {
  if (error instanceof RefusedError) return error.message;
  if (error.name in CAPTURE_ERRORS) return CAPTURE_ERRORS[error.name];
  if (error instanceof TypeError && /fetch/i.test(error.message)) return 'The server does not answer. Is it running?';
  return error.message;
}

async function capture() {
  if (!navigator.mediaDevices) {
    throw new Error(`Browsers give camera and microphone only to pages from https:// or from localhost, and this one is from ${location.origin}.`);
  }
  const [width, height] = byId('resolution').value.split('x').map(Number);
  const picture = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: Number(byId('rate').value) } };
  const chosen = (id) => (byId(id).value ? { deviceId: { exact: byId(id).value } } : {});
  const audio = byId('microphone').value === 'none' ? false : { ...chosen('microphone') };
  const source = byId('source').value;
  if (source === 'none' && !audio) throw new Error('Choose a picture, a microphone, or both.');
  if (source === 'camera') return navigator.mediaDevices.getUserMedia({ video: { ...picture, ...chosen('camera') }, audio });
  const stream = source === 'screen'
    ? await navigator.mediaDevices.getDisplayMedia({ video: picture, audio: true })
    : new MediaStream();
  if (audio && stream.getAudioTracks().length === 0) {
    try {
      const voice = await navigator.mediaDevices.getUserMedia({ audio });
      stream.addTrack(voice.getAudioTracks()[0]);
    } catch (error) {
      release(stream);
      throw error;
    }
  }
  return stream;
}

/** Gives devices and shared screens back to the browser, which then takes its sign of them away. */
function release(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

async function start() {
  showError();
  setRunning(true);
  const mine = {};
  attempt = mine;
  try {
    showState('asking for devices', 'busy');
    const captured = await capture();
    if (attempt !== mine) return release(captured);
    media = captured;
    applySwitches();
    byId('video').srcObject = media;
    listDevices();
    showState('connecting', 'busy');
    session = new WhipSession(`/whip/${path}`);
    window.oneport = session;
    for (const track of media.getTracks()) {
      const isVideo = track.kind === 'video';
      const options = isVideo ? { codec: byId('codec').value, maxBitrate: Number(byId('bitrate').value) * 1000 } : {};
      session.add(track, media, options);
      track.addEventListener('ended', stop);
    }
    session.pc.addEventListener('connectionstatechange', follow);
    await session.connect();
    if (attempt === mine) calm = patience(session, failed);
  } catch (error) {
    if (attempt !== mine) return;
    stop();
    showState('stopped', 'bad');
    showError(inWords(error));
  }
}

function follow() {
  const state = session?.pc.connectionState;
  if (state === 'connected') {
    showState('live', 'good');
    showError();
    const figures = new Figures(session.pc, 'outbound-rtp');
    clearInterval(timer);
    timer = setInterval(async () => showFigures((await figures.read()).shown), 1000);
  } else if (state === 'disconnected') {
    showState('connection interrupted', 'busy');
  } else if (state === 'failed' || state === 'closed') {
    failed();
  }
}

async function failed() {
  const mine = session;
  const words = await connectionFailure(mine);
  if (session !== mine) return;
  stop();
  showState('connection failed', 'bad');
  showError(words);
}

function stop() {
  clearInterval(timer);
  calm();
  session?.end();
  session = undefined;
  attempt = undefined;
  release(media);
  media = undefined;
  byId('video').srcObject = null;
  setRunning(false);
  showState('stopped');
}

function setRunning(running) {
  byId('settings').disabled = running;
  byId('start').hidden = running;
  byId('stop').hidden = !running;
  for (const id of ['mute', 'pause']) {
    byId(id).disabled = !running;
    byId(id).setAttribute('aria-pressed', 'false');
  }
}

/** The buttons that turn all tracks of a kind off and on. */
const SWITCHES = { mute: 'audio', pause: 'video' };

/** Tracks follow the buttons, also those that come only after a button was pressed. */
function applySwitches() {
  for (const [id, kind] of Object.entries(SWITCHES)) {
    const off = byId(id).getAttribute('aria-pressed') === 'true';
    media?.getTracks().filter((track) => track.kind === kind).forEach((track) => { track.enabled = !off; });
  }
}

function toggle({ currentTarget: button }) {
  button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true'));
  applySwitches();
}

/** Devices have names only once the page may use them. */
async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  for (const [id, kind] of [['camera', 'videoinput'], ['microphone', 'audioinput']]) {
    const known = new Set([...byId(id).options].map((option) => option.value));
    const found = devices.filter((device) => device.kind === kind && device.deviceId && !known.has(device.deviceId));
    byId(id).append(...found.map((device) => new Option(device.label || kind, device.deviceId)));
  }
}

byId('name').textContent = decodeURIComponent(path);
byId('codec').append(...videoCodecs().map((name) => new Option(name, name)));
const link = new URL(`/play/${path}`, location.href);
byId('play-link').href = link;
byId('play-link').textContent = link;
/** Copies the link, or where that is refused leaves it selected. The clipboard is there only for secure pages. */
async function copyLink() {
  try {
    await navigator.clipboard.writeText(link.href);
    return true;
  } catch {
    getSelection().selectAllChildren(byId('play-link'));
    return document.execCommand('copy');
  }
}
byId('copy').addEventListener('click', async () => {
  byId('copy').textContent = (await copyLink()) ? 'Copied' : 'Press Ctrl+C';
});
byId('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  start();
});
byId('stop').addEventListener('click', stop);
for (const id of Object.keys(SWITCHES)) byId(id).addEventListener('click', toggle);
for (const id of ['source', 'codec', 'resolution', 'rate', 'bitrate']) {
  if (query.has(id)) byId(id).value = query.get(id);
}
showFigures({ bitrate: undefined, fps: undefined, resolution: undefined, rtt: undefined, loss: undefined });
listDevices();
if (query.has('autostart')) start();
