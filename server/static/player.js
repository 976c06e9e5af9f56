// A moment that plays: the file itself where the browser can, else a clip that the server cuts out of it.

import {beginning, clock, copyOf, fill, nameOf, times} from "./moment.js";
import {ask, whyNot} from "./server.js";

const TYPES = {  // what browsers may refuse by name; the others are tried
  avi: "video/x-msvideo", flv: "video/x-flv", m2ts: "video/mp2t", mpeg: "video/mpeg", mpg: "video/mpeg",
  mts: "video/mp2t", mxf: "application/mxf", ts: "video/mp2t", vob: "video/mpeg", wmv: "video/x-ms-wmv",
};
const CODECS = {hevc: 'video/mp4; codecs="hvc1.1.6.L93.B0"', av1: 'video/mp4; codecs="av01.0.04M.08"'};
const MOST_CUT_S = 60;  // a clip is cut before it plays, and a server cuts no long ones
const MOST_SHIFT_S = 1;  // browsers differ in what they make of files whose clock begins late
const INTO_PICTURE_S = 0.001;  // a time is a picture's own, and rounding must not show the one before

/** A panel that plays a result; `where` names its collection and encoder. */
export function playerOf(result, where) {
  const panel = copyOf("a-player");
  const part = (name) => panel.querySelector(`.${name}`);
  panel.querySelector("video").ariaLabel = `${nameOf(result.path)}, ${times(result)}`;
  part("name").textContent = nameOf(result.path);
  part("path").textContent = result.path;
  part("when").textContent = times(result);
  fill(part("best"), result.best?.t >= result.start + 1 && `Best at ${clock(result.best.t)}`);
  fill(part("line"), result.text);
  showColumns(panel.querySelector("dl"), result.metadata);
  play(panel, result, new URLSearchParams(where));
  return panel;
}

/** Plays on, or stands still. */
export function toggle(panel) {
  const video = panel.querySelector("video");
  if (video.paused) begin(video);
  else video.pause();
}

function showColumns(list, columns) {
  for (const [name, value] of Object.entries(columns ?? {})) {
    const [term, told] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    told.textContent = Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value;
    list.append(term, told);
  }
}

async function play(panel, result, where) {
  const facts = await ask(`videos/${result.video_id}?${where}`).catch(() => ({}));
  const sources = sourcesOf(panel.querySelector("video"), result, facts, where);
  if (panel.isConnected) attempt(panel, sources, result.best);
}

/** What to try, in this order: an address, the second of the video where its own clock begins, what to say. */
function sourcesOf(video, {video_id, path, start, end, best}, facts, where) {
  const shift = facts.zero_s ?? 0;
  const from = beginning({start, best});
  const fragment = `#t=${into(from + shift)},${end + shift}`;
  const whole = {address: `media/${video_id}?${where}`, fragment, zero: -shift, first: start, waiting: "", told: ""};
  const since = from > start + MOST_CUT_S / 2 ? from : start;  // so that enough follows
  const until = Math.min(end, since + MOST_CUT_S);
  const cut = new URLSearchParams([...where, ["start", since], ["end", until]]);
  const told = `${clock(since)} – ${clock(until)}, cut out of the video, as this browser cannot play the file itself.`;
  const waiting = "Cutting these seconds out of the video…";
  const clip = {address: `clip/${video_id}?${cut}`, fragment: `#t=${into(from - since)}`, zero: since, first: since, waiting, told};
  const type = TYPES[path.slice(path.lastIndexOf(".") + 1).toLowerCase()];
  const refused = [type, CODECS[facts.codec]].some((each) => each && !video.canPlayType(each));
  return refused || Math.abs(shift) > MOST_SHIFT_S ? [clip] : [whole, clip];
}

function attempt(panel, [source, ...others], best) {
  const [video, told] = [panel.querySelector("video"), panel.querySelector(".told")];
  const fail = async () => {
    video.onerror = video.onloadedmetadata = null;
    if (others.length) attempt(panel, others, best);
    else told.textContent = await whyNot(source.address);
  };
  const jump = (seconds) => () => {
    video.currentTime = into(seconds - source.zero);
    begin(video);
  };
  told.textContent = source.waiting;
  video.onerror = fail;
  video.onloadedmetadata = () => {
    if (!video.videoWidth) return fail();  // sound alone: the pictures' codec is not known
    told.textContent = source.told;
  };
  panel.querySelector(".again").onclick = jump(source.first);
  panel.querySelector(".best").onclick = jump(best?.t);
  video.src = source.address + source.fragment;
  begin(video);
}

/** A little behind the second at which a picture begins to be shown. */
function into(seconds) {
  return seconds > 0 ? seconds + INTO_PICTURE_S : 0;
}

function begin(video) {
  video.play().catch(() => {});  // a browser that wants a click first; what is wrong with a file, onerror says
}
