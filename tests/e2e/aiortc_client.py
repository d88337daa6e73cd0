"""A WHIP publisher and a WHEP viewer by aiortc, an implementation that has nothing to do with ours.

    aiortc_client.py publish URL vp8|h264 SECONDS
    aiortc_client.py play URL FRAMES

Prints one line of JSON about what happened. Exits with 1 when it did not.
"""

import asyncio
import fractions
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import av
import numpy
from aiortc import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)

DEADLINE_S = 30


class Picture(VideoStreamTrack):
    """A grey that changes with every frame, so that no frame is like the last."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        level = (pts // 3000) % 200 + 30
        frame = av.VideoFrame.from_ndarray(numpy.full((240, 320, 3), level, dtype=numpy.uint8), format="bgr24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """440 Hz."""

    phase = 0

    async def recv(self):
        frame = await super().recv()
        count = frame.samples
        times = (numpy.arange(count) + self.phase) / frame.sample_rate
        self.phase += count
        samples = (numpy.sin(2 * numpy.pi * 440 * times) * 12000).astype(numpy.int16)
        tone = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        tone.sample_rate, tone.pts = frame.sample_rate, frame.pts
        tone.time_base = fractions.Fraction(1, frame.sample_rate)
        return tone


def post(url, sdp):
    request = urllib.request.Request(url, sdp.encode(), {"Content-Type": "application/sdp"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status == 201, response.status
            return urllib.parse.urljoin(url, response.headers["Location"]), response.read().decode()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{error.code}: {error.read().decode()}") from error


def delete(url):
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10) as response:
        assert response.status == 200, response.status


async def connect(pc, url):
    await pc.setLocalDescription(await pc.createOffer())
    session, answer = await asyncio.to_thread(post, url, pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return session


def peer():
    # Without servers: by default aiortc asks a public STUN server.
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def publish(url, codec, seconds):
    pc = peer()
    pc.addTrack(Tone())
    pc.addTrack(Picture())
    video = next(t for t in pc.getTransceivers() if t.kind == "video")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    video.setCodecPreferences([c for c in codecs if c.mimeType.lower() == f"video/{codec}"])
    session = await connect(pc, url)
    print(json.dumps({"publishing": codec}), flush=True)
    await asyncio.sleep(float(seconds))
    state = pc.connectionState
    await asyncio.to_thread(delete, session)
    await pc.close()
    assert state == "connected", state


async def play(url, wanted):
    pc = peer()
    counts = {"audio": 0, "video": 0}
    loudest = 0
    enough = asyncio.Event()

    async def take(track):
        nonlocal loudest
        while True:
            frame = await track.recv()
            counts[track.kind] += 1
            if track.kind == "audio":
                loudest = max(loudest, int(numpy.abs(frame.to_ndarray()).max()))
            if counts["video"] >= wanted and counts["audio"] >= wanted and loudest > 1000:
                enough.set()

    tasks = []
    pc.on("track", lambda track: tasks.append(asyncio.ensure_future(take(track))))
    pc.addTransceiver("audio", direction="recvonly")
    pc.addTransceiver("video", direction="recvonly")
    session = await connect(pc, url)
    try:
        await asyncio.wait_for(enough.wait(), DEADLINE_S)
    finally:
        print(json.dumps({"frames": counts, "loudest": loudest, "state": pc.connectionState}), flush=True)
        for task in tasks:
            task.cancel()
    await asyncio.to_thread(delete, session)
    await pc.close()


if __name__ == "__main__":
    action, arguments = sys.argv[1], sys.argv[2:]
    if action == "publish":
        asyncio.run(publish(*arguments))
    else:
        asyncio.run(play(arguments[0], int(arguments[1])))
