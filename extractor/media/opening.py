"""A local file to an open container and the stream whose pictures are shown."""

from __future__ import annotations

import errno
from pathlib import Path

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from core.errors import VideoError
from extractor.media import sniff
from extractor.media.hardware import CPU, accelerated

# Formats that hold their pictures themselves. Not here: what names other files or devices (hls, dash, concat,
# imf, sdp, rtsp, webm_dash_manifest, vobsub, lavfi, mlv and their like), single pictures (image2, *_pipe),
# texts that become pictures (tty, bin), and pictures whose size no header says (rawvideo, bitpacked, v210).
_CONTAINERS = (
    "3g2 3gp asf asf_o avi dv f4v flv gxf ivf ivr kux live_flv lxf m4v matroska mj2 mov mp4 mpeg "
    "mpegts mpegtsraw mxf nsv nut nuv ogg pmp pva rm swf ty vivo webm wtv"
)
_RAW = (
    "apv av1 avs2 avs3 cavsvideo dirac dnxhd evc h261 h263 h264 hevc ingenient ipu mjpeg mjpeg_2000 "
    "mpjpeg mpegvideo obu vc1 vc1test vvc yuv4mpegpipe"
)
_CAMERAS = "cine dhav hxvs ifv iv8 lmlm4 luodat lvf msnwctcp mtv mxg nc r3d ser smjpeg"
_ANIMATIONS = "apng filmstrip flic gif jpegxl_anim pdv vividas yop"
_GAMES = (
    "4xm anm argo_brp avs bethsoftvid bfi bink bmv c93 cdg cdxl derf dfa dsicin dxa ea film_cpk gdv "
    "hnm idcin ipmovie iss jv mgsts mm mods moflex mv mvi paf psxstr rl2 roq rpl sga siff smk smush "
    "thp tiertexseq tmv usm vmd wc3movie wsvqa xmv"
)
# and sound, of which we then say so
_SOUND = "aac ac3 aiff amr caf dts eac3 flac m4a mp3 w64 wav wv xwma"
FORMATS = ",".join(" ".join((_CONTAINERS, _RAW, _CAMERAS, _ANIMATIONS, _GAMES, _SOUND)).split())
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
_MOV = "mov,mp4,m4a,3gp,3g2,mj2"  # as FFmpeg calls it where it finds out by itself
# FFmpeg decodes the first pictures of some streams to learn their order. Nobody sees these.
_PROBING = {"skip_loop_filter": "all", "skip_idct": "all"}
_DAMAGE = av.error.InvalidDataError | av.error.ArgumentError | av.error.EOFError
_END_BYTES = 1 << 16
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails


def open_container(path: Path, head: bytes, decoder: str = CPU) -> InputContainer:
    """Open a plain local file and nothing else."""
    try:
        # "file:" so that a name with a colon is no protocol; names and tags in no known spelling are kept
        name, hwaccel = f"file:{path.absolute()}", accelerated(decoder)
        return av.open(
            name,
            "r",
            format=_MOV if sniff.is_mov(head) else None,
            options=_PROBING,
            container_options=_OPTIONS,
            metadata_errors="replace",
            hwaccel=hwaccel,
        )
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
    is_known = sniff.is_known_video(path, head)
    # Of some formats FFmpeg says that they cannot be read where they only end early.
    is_cut_short = is_known and error.errno == errno.EIO and _can_be_read(path)
    if not isinstance(error, _DAMAGE) and not is_cut_short:
        return VideoError(f"{name} cannot be opened: {error.strerror}.")
    if is_known:
        return VideoError(f"{name} cannot be opened: it is damaged, cut short or of an unknown kind.")
    return sniff.NotVideo(f"{name} is of no known kind of video.")


def _can_be_read(path: Path) -> bool:
    """Whether its ends can: then what failed is hardly the disk."""
    try:
        with path.open("rb") as file:
            file.read(_END_BYTES)
            file.seek(max(0, path.stat().st_size - _END_BYTES))
            file.read(_END_BYTES)
    except OSError:
        return False
    return True


def _no_pictures(container: InputContainer, name: str) -> VideoError:
    if container.streams.video:
        return sniff.Still(f"{name} has only a cover picture, no video.")
    if container.streams.audio:
        return sniff.NotVideo(f"{name} has only sound, no video.")
    return sniff.NotVideo(f"{name} has no video in it.")
