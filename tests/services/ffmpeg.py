"""ffmpeg: a test picture with a tone is filtered and encoded (x264, AAC), and decoded again; checksums of all frames."""

NEEDS = ["ffmpeg"]
SOURCE = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4", "-f", "lavfi", "-i", "sine=frequency=440:duration=4")


def work(run):
    run.version = " ".join(run.output("ffmpeg", "-version").split()[:3]).replace(" version", "").split("-")[0]
    quiet = ("ffmpeg", "-nostdin", "-v", "error", "-y", "-flags", "bitexact", "-fflags", "bitexact")
    encoder = run.start(*quiet, *SOURCE, "-vf", "scale=480:-2,hue=s=0.5,unsharp", "-c:v", "libx264", "-preset", "faster",
                        "-threads", "3", "-c:a", "aac", "-bitexact", "-map_metadata", "-1", "a.mkv")
    run.watch(encoder)
    if encoder.wait() != 0:
        run.fail(f"ffmpeg ended with status {encoder.returncode}")
    run.say(run.output(*quiet, "-threads", "3", "-i", "a.mkv", "-f", "framemd5", "-"))
