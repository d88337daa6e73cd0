// The first page: which stream, and where other programs send it.
const byId = (id) => document.getElementById(id);

function path() {
  return `${encodeURIComponent(byId('app').value.trim())}/${encodeURIComponent(byId('stream').value.trim())}`;
}

function showEndpoints() {
  const whip = `${location.origin}/whip/${path()}`;
  byId('obs').textContent = whip;
  byId('ffmpeg').textContent =
    `ffmpeg -re -i INPUT -c:v libx264 -profile:v baseline -bf 0 -g 60 -c:a libopus -f whip "${whip}"`;
  byId('gstreamer').textContent =
    `gst-launch-1.0 videotestsrc ! vp8enc deadline=1 ! rtpvp8pay ! whipsink whip-endpoint="${whip}"`;
  byId('whep').textContent = `${location.origin}/whep/${path()}`;
}

byId('open').addEventListener('input', showEndpoints);
byId('open').addEventListener('submit', (event) => {
  event.preventDefault();
  location.href = `/${event.submitter?.dataset.page ?? 'publish'}/${path()}`;
});
showEndpoints();
