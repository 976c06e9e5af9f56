// What the server is asked. Addresses are relative, so that a proxy may serve all this below a path.

const BUSY = [429, 503];
const USUAL_WAIT_S = 2;
const LONGEST_WAIT_S = 30;

/** Why there is no answer: a sentence for people, and what was wrong. */
export class Refusal extends Error {
  constructor(status, message, waitS = NaN) {
    super(message);
    this.status = status;
    this.waitS = waitS > 0 ? Math.min(waitS, LONGEST_WAIT_S) : USUAL_WAIT_S;
  }
}

/** The JSON of an answer; a Refusal where there is none. With a body it is a POST. */
export async function ask(path, body, signal) {
  const sent = {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body)};
  const answer = await reach(path, {signal, ...(body === undefined ? {} : sent)});
  if (!answer.ok) throw await refusal(answer);
  return answer.status === 204 ? null : answer.json();
}

/** The same; while the server is loading or busy it says so by `tell` and comes again. */
export async function askPatiently(path, body, signal, tell) {
  for (;;) {
    try {
      return await ask(path, body, signal);
    } catch (error) {
      if (!BUSY.includes(error.status)) throw error;
      tell(`${error.message} Asking again in ${error.waitS} s.`);
      await pause(error.waitS, signal);
    }
  }
}

/** The sentence that the server has about an address that a picture or a video could not be had from. */
export async function whyNot(address) {
  const leave = new AbortController();
  try {
    const answer = await reach(address, {signal: leave.signal});
    return answer.ok ? "This browser cannot play it." : (await refusal(answer)).message;
  } catch (error) {
    return error.message;
  } finally {
    leave.abort();
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refusal(0, "The server cannot be reached.");
  }
}

async function refusal(answer) {
  const waitS = Number(answer.headers.get("retry-after"));
  const told = await answer.json().catch(() => null);  // a proxy's own page is no JSON
  return new Refusal(answer.status, told?.error ? sentence(told.error) : `The server answered ${answer.status}.`, waitS);
}

/** What is wrong, for people: without the name of a field that they do not know, and what they typed. */
function sentence({field, message}) {
  const isTyped = /^(query|key)\b/.test(field ?? "") && message.startsWith(`${field}: `);
  const plain = isTyped ? message.slice(field.length + 2).replace(/ \(got .*\)\.$/s, ".").replace(/^string\b/, "the text") : message;
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, {once: true});
  });
}
