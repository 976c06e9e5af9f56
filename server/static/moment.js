// A moment as a card. Whatever an answer says goes in as text, never as HTML.

const NEAR_S = 2;  // so soon after the start a best second is waited for
const LEAD_IN_S = 1;

/** A copy of a template's one element. */
export function copyOf(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Seconds as people write them: 0:04, 1:02:03. */
export function clock(seconds) {
  const whole = Math.floor(seconds + 1e-6);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** From when to when; with as many decimals as it takes not to say the same twice. */
export function times({start, end, approximate}) {
  const write = (seconds, digits) => {
    const part = Math.floor((seconds % 1 + 1e-6) * 10 ** digits) % 10 ** digits;
    return clock(seconds) + (digits ? `.${String(part).padStart(digits, "0")}` : "");
  };
  const digits = [0, 1, 2, 3].find((each) => write(start, each) !== write(end, each));
  const told = digits === undefined ? clock(start) : `${write(start, digits)} – ${write(end, digits)}`;
  return `${approximate ? "≈ " : ""}${told}`;
}

/** The second to play from: of a long moment a little before its best one. */
export function beginning({start, best}) {
  return best && best.t > start + NEAR_S ? best.t - LEAD_IN_S : start;
}

/** The same as times, behind the best second where that is not near the start. */
function when(result) {
  const isFar = beginning(result) > result.start;
  return isFar ? `${clock(result.best.t)} in ${times(result)}` : times(result);
}

/** What follows the last slash. */
export function nameOf(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** An address as an answer has it, relative to the page. */
export function relative(address) {
  return address.replace(/^\/+/, "");
}

/** Puts text into an element, which shows only if there is some. */
export function fill(element, text) {
  element.textContent = text || "";
  element.hidden = !text;
}

/** A card; `isMixed`: the answer's moments matched on different things, so that each says on what. */
export function cardOf(result, isMixed) {
  const card = copyOf("a-moment");
  const part = (name) => card.querySelector(`.${name}`);
  part("name").textContent = nameOf(result.path);
  part("name").title = result.path;
  part("time").textContent = when(result);
  part("similar").ariaLabel = `Moments similar to ${nameOf(result.path)}, ${times(result)}`;
  card.classList.toggle("doubtful", result.confidence_level === "none");
  fill(part("line"), result.text);
  showPicture(card, result);
  showSureness(part("sure"), result);
  for (const what of isMixed ? result.matched_on : []) {
    const badge = document.createElement("span");
    badge.className = "badge";
    badge.textContent = what;
    part("facts").append(badge);
  }
  return card;
}

function showPicture(card, {best, path}) {
  const [picture, lacking] = [card.querySelector("img"), card.querySelector(".lacking")];
  const lack = () => {
    picture.remove();
    fill(lacking, nameOf(path));
  };
  picture.alt = best ? `The picture at ${clock(best.t)}` : "";
  picture.onerror = lack;
  if (best?.thumbnail) picture.src = relative(best.thumbnail);
  else lack();
}

function showSureness(element, {confidence, confidence_level, score}) {
  if (confidence !== null) {
    element.hidden = false;
    element.classList.add(confidence_level ?? "none");
    element.style.setProperty("--part", confidence);
    element.querySelector("b").textContent = `${Math.round(confidence * 100)} %`;
    element.title = `${confidence_level ?? "no"} confidence` + (score === null ? "" : `, score ${score.toFixed(3)}`);
  } else if (score !== null) {
    element.hidden = false;
    element.classList.add("bare");
    element.querySelector(".unseen").textContent = "Score: ";
    element.querySelector("b").textContent = score.toFixed(3);
    element.title = "The score; nothing is calibrated here.";
  }
}
