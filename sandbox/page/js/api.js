/* The page API of the local Slack. Every function rejects with an Error whose message is a sentence for people. */

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The local Slack does not answer. Is the sandbox still running?");
  }
  const text = await answer.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : {};
  } catch {
    body = null;
  }
  if (!answer.ok) {
    const problem = new Error((body && body.error) || `The local Slack answered ${answer.status}.`);
    throw Object.assign(problem, { status: answer.status });
  }
  return body;
}

const query = (values) =>
  new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== null)).toString();

export const get = (path, values = {}) => ask(`/sandbox/${path}?${query(values)}`);

export const post = (path, body) =>
  ask(`/sandbox/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

/** Waits until the request was acknowledged or Slack would show an error; returns its last state. */
export async function outcome(id, limit = 8000) {
  const until = performance.now() + limit;
  let pause = 60;
  for (;;) {
    const request = await get(`requests/${encodeURIComponent(id)}`);
    if (request.acknowledged || request.error || request.errors || performance.now() > until) return request;
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 1.3, 300);
  }
}

const SENTENCES = {
  operation_timeout: "The app did not answer in time (operation_timeout).",
  dispatch_failed: "The app could not be reached (dispatch_failed). Is the bot running?",
};

export const sentenceFor = (code) => SENTENCES[code] || `Slack reports: ${code}.`;
