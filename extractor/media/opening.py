"""A local file to an open container and the stream whose pictures are shown."""

from __future__ import annotations

from pathlib import Path

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from core.errors import VideoError
from extractor.media import sniff

# Formats that hold their pictures themselves. Not here, because they name other files or devices: hls, dash,
# concat, image2, imf, sdp, rtsp, webm_dash_manifest, vobsub, lavfi and their like.
FORMATS = (
    "3gp,aac,ac3,aiff,amr,apng,asf,av1,avi,avs2,avs3,caf,cavsvideo,dirac,dnxhd,dts,dv,eac3,evc,flac,flv,gif,gxf,h261,"
    "h263,h264,hevc,ivf,kux,live_flv,lxf,m4v,matroska,matroska,webm,mlv,mov,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,"
    "mpegvideo,mxf,nsv,nut,nuv,obu,ogg,rm,swf,vc1,vc1test,vvc,w64,wav,wtv,wv,xwma,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails


def open_container(path: Path, head: bytes) -> InputContainer:
    """Open a plain local file and nothing else."""
    try:
        # "file:" so that a name with a colon is no protocol; names and tags in no known spelling are kept
        return av.open(f"file:{path.absolute()}", "r", options=_OPTIONS, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise _cannot_open(path, head, error) from error


def choose_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of pictures that is no cover and, if another moves, no single picture."""
    name = sniff.shown_name(path)
    moving = [stream for stream in container.streams.video if not stream.disposition & _COVERS]
    if not moving:
        raise _no_pictures(container, name)
    stream = next((stream for stream in moving if stream.frames != 1), moving[0])
    # A stream whose codec FFmpeg cannot decode has none, whatever its type says.
    if getattr(stream, "codec_context", None) is None:
        raise VideoError(f"{name} is coded in a way that this FFmpeg cannot decode.")
    if "enc_key_id" in stream.metadata:
        raise VideoError(f"{name} is encrypted.")
    stream.thread_type = ThreadType.NONE  # files are decoded side by side
    stream.codec_context.thread_count = 1
    return stream


def _cannot_open(path: Path, head: bytes, error: av.error.FFmpegError) -> VideoError:
    name = sniff.shown_name(path)
    if sniff.is_encrypted(path, head):
        return VideoError(f"{name} is encrypted.")
    if not isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return VideoError(f"{name} cannot be opened: {error.strerror}.")
    if sniff.is_known_video(path, head):
        return VideoError(f"{name} cannot be opened: it is damaged, cut short or of an unknown kind.")
    return sniff.NotVideo(f"{name} is of no known kind of video.")


def _no_pictures(container: InputContainer, name: str) -> VideoError:
    if container.streams.video:
        return sniff.Still(f"{name} has only a cover picture, no video.")
    if container.streams.audio:
        return sniff.NotVideo(f"{name} has only sound, no video.")
    return sniff.NotVideo(f"{name} has no video in it.")
