/* Building elements. Text only ever enters the page as text nodes, so nothing a message holds can become markup. */

/** h("button.primary", {type: "button", onclick: f, dataset: {x: 1}}, "text", child, [more]) -> element */
export function h(spec, attributes = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, clean(value));
    else if (name === "value" || name === "checked" || name === "selected" || name === "disabled" || name === "hidden")
      element[name] = value;
    else if (name === "testid") element.dataset.testid = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function clean(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null));
}

export function append(parent, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

const SVG = "http://www.w3.org/2000/svg";

/** s("path", {d: "..."}, children) -> SVG element */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, String(value));
  }
  return append(element, children);
}

export const find = (id) => document.getElementById(id);

/** Runs `task` soon, never twice at once; calls that arrive meanwhile cause one more run. */
export function coalesce(task, pause = 40) {
  let timer = null;
  let running = false;
  let again = false;
  const run = async () => {
    timer = null;
    running = true;
    try {
      await task();
    } catch (problem) {
      console.warn(problem);
    }
    running = false;
    if (again) {
      again = false;
      schedule();
    }
  };
  const schedule = () => {
    if (running) again = true;
    else if (timer === null) timer = setTimeout(run, pause);
  };
  return schedule;
}

/** `const turn = inOrder()`: every request takes a turn(); what that gives says whether its answer is news, or comes after
 * the answer to a later request and is old. */
export function inOrder() {
  let asked = 0;
  let newest = 0;
  return () => {
    const mine = ++asked;
    return () => {
      if (mine < newest) return false;
      newest = mine;
      return true;
    };
  };
}

let pressed = null; // while a pointer is down: {promise, resolve}

const release = () => {
  if (pressed) pressed.resolve();
  pressed = null;
};

document.addEventListener(
  "pointerdown",
  () => {
    pressed = pressed || Promise.withResolvers();
    setTimeout(release, 2000); // a menu of the browser's own may keep the end to itself
  },
  true,
);
// The click is told right after the pointer went up: what is drawn anew waits for that, too.
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(release), true);
document.addEventListener("pointermove", (event) => event.buttons === 0 && release(), true);
window.addEventListener("blur", release);

/** Waits until no pointer is down: a button that is drawn anew between press and release would lose the click. */
export const released = () => (pressed ? pressed.promise : Promise.resolve());

/** Keeps Tab inside `root` while it is open; returns a function that lets go and gives the focus back. */
export function trapFocus(root) {
  const before = document.activeElement;
  const onkey = (event) => {
    if (event.key !== "Tab") return;
    const stops = [...root.querySelectorAll("button, input, select, textarea, a[href], [tabindex='0']")].filter(
      (element) => !element.disabled && element.offsetParent !== null,
    );
    if (!stops.length) return;
    const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
    if (document.activeElement === edge || !root.contains(document.activeElement)) {
      event.preventDefault();
      (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
    }
  };
  document.addEventListener("keydown", onkey, true);
  return () => {
    document.removeEventListener("keydown", onkey, true);
    if (before && before.isConnected) before.focus();
  };
}
