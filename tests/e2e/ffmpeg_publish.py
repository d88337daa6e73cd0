"""Publishes a generated picture and tone by FFmpeg's WHIP muxer, which is inside PyAV's wheel.

    ffmpeg_publish.py URL CERTIFICATE KEY SECONDS

The muxer offers `a=setup:passive`, so the server has to be the DTLS client; it sends no candidate, nominates in its first check, and
offers AES128_CM_HMAC_SHA1_80 only. CERTIFICATE and KEY are PEM files of P-256: the one that the muxer makes itself is of P-224 where it
was built with GnuTLS.
"""

import fractions
import sys
import time

import av
import numpy

RATE = 30


def main(url, certificate, key, seconds):
    options = {"cert_file": certificate, "key_file": key}
    with av.open(url, "w", format="whip", options=options) as container:
        video = container.add_stream("libx264", rate=RATE, options={
            "profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "g": str(RATE), "bf": "0"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = container.add_stream("libopus", rate=48000, layout="stereo")
        begun = time.monotonic()
        count = 0
        while time.monotonic() - begun < float(seconds):
            picture = numpy.full((240, 320, 3), count % 200 + 30, dtype=numpy.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = count, fractions.Fraction(1, RATE)
            container.mux(video.encode(frame))
            times = (numpy.arange(48000 // RATE) + count * 48000 // RATE) / 48000
            tone = (numpy.sin(2 * numpy.pi * 440 * times) * 0.4).astype(numpy.float32)
            samples = av.AudioFrame.from_ndarray(numpy.repeat(tone, 2).reshape(1, -1), format="flt", layout="stereo")
            samples.sample_rate, samples.pts = 48000, count * 48000 // RATE
            samples.time_base = fractions.Fraction(1, 48000)
            container.mux(audio.encode(samples))
            count += 1
            time.sleep(max(0, begun + count / RATE - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
