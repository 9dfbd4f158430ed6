// Sends what is dropped, chosen or pasted: a few requests at once, each file under a key of its own,
// so that one which is sent again counts once. What the server says of a file is what is shown.
const LANES = 2;
const LOT_BYTES = 16 * 1024 * 1024;
const ROWS = 100;
const LONGEST_WAIT = 15_000;
const LETTERS = { u: "received", q: "waiting or being described", c: "described", f: "failed" };
const HIDDEN = /^\.|^(thumbs\.db|desktop\.ini)$/i;

const page = document.querySelector("#drop");
const find = (name) => page.querySelector(`[data-part="${name}"]`);
const form = find("choices");
const csrf = form.elements.csrf.value;
const root = page.dataset.root;
const limits = { files: Number(page.dataset.files), bytes: Number(page.dataset.bytes) };

const entries = [];
const waiting = [];
let run = newRun();
let lanes = 0;
let polling = false;
let left = 0;
let shown = "all";
let first = 0;

function newRun() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return {
    name: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    session: null,
    received: [],
    isOver: false,
  };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// ---- What comes in

function add(found) {
  for (const each of found) {
    if (each.file && HIDDEN.test(each.file.name)) {
      left += 1;
      continue;
    }
    const entry = { ...each, run, key: `${entries.length}`, state: "waiting", reason: "" };
    entries.push(entry);
    waiting.push(entry);
  }
  run.isOver = false;
  work();
}

async function walk(entry, found) {
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), name: entry.name });
  } else {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break; // a folder comes in parts of a hundred
      for (const each of some) await walk(each, found);
    }
  }
}

async function taken(transfer) {
  const roots = Array.from(transfer.items ?? [], (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.length) return named(transfer.files);
  const found = [];
  for (const each of roots) {
    try {
      await walk(each, found);
    } catch {
      say(`${each.name} cannot be read. Check that you may open it, then drop it again.`, true);
    }
  }
  return found;
}

const named = (files) => Array.from(files, (file) => ({ file, name: file.name }));

// ---- What goes out

function lot() {
  const some = [waiting.shift()];
  let bytes = some[0].file?.size ?? 0;
  while (some[0].file && some.length < limits.files && waiting[0]?.file && waiting[0].run === some[0].run) {
    bytes += waiting[0].file.size;
    if (bytes > LOT_BYTES) break;
    some.push(waiting.shift());
  }
  return some;
}

function work() {
  while (lanes < LANES && waiting.length) {
    lanes += 1;
    lane().finally(() => {
      lanes -= 1;
      work();
    });
  }
  poll();
  show();
}

async function lane() {
  while (waiting.length) {
    const some = lot().filter((entry) => !isTooLarge(entry));
    if (some.length) await deliver(some);
  }
}

function isTooLarge(entry) {
  if (!entry.file || entry.file.size <= limits.bytes) return false;
  refuse(entry, `It has more than the ${Math.floor(limits.bytes / 1048576)} MB that a picture may have here. Make it smaller, then drop it again.`);
  return true;
}

function body(some) {
  const data = some[0].file ? new FormData() : new URLSearchParams();
  data.set("drop", some[0].run.name);
  data.set("keys", JSON.stringify(some.map((entry) => entry.key)));
  choose(data);
  if (!some[0].file) data.set("url", some[0].url);
  else for (const entry of some) data.append("files", entry.file, entry.name);
  return data;
}

function choose(data) {
  const chosen = new FormData(form);
  for (const name of ["level", "role", "language", "vocabulary", "skip_duplicates"]) data.set(name, chosen.get(name) ?? "");
  data.set("backends", chosen.getAll("backends").join(","));
}

async function deliver(some) {
  for (const entry of some) entry.state = "sending";
  for (let tries = 0; some.length; tries += 1) {
    show();
    const answer = await post(some[0].file ? "/files" : "/url", body(some));
    if (answer.files) {
      some[0].run.session = answer.session;
      for (const each of answer.files) settle(some.find((entry) => entry.key === each.key), each);
      say("");
      poll();
      return;
    }
    if (answer.isFinal) {
      for (const entry of some) refuse(entry, answer.reason);
      return;
    }
    some = await readable(some);
    await pause(answer.after ?? delay(tries, answer.reason));
  }
}

async function post(path, data) {
  try {
    const answer = await fetch(`${root}/drop${path}`, {
      method: "POST",
      body: data,
      redirect: "manual",
      headers: { "X-CSRF-Token": csrf, "HX-Request": "true" },
    });
    return await read(answer);
  } catch {
    return { reason: "The server does not answer." };
  }
}

async function read(answer) {
  if (answer.headers.has("HX-Redirect")) {
    return { isFinal: true, reason: "You were signed out. Load this page again to sign in, then drop it again." };
  }
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  const parsed = new DOMParser().parseFromString(text, "text/html");
  const reason = parsed.body.textContent.trim().replace(/\s+/g, " ") || `The server says ${answer.status}.`;
  if (answer.status === 429 || answer.status === 503) {
    const after = Number(answer.headers.get("Retry-After")) || 2;
    say(`${reason} Going on in ${after} s; nothing is lost.`);
    return { reason, after: after * 1000 };
  }
  return { reason, isFinal: answer.status < 500 };
}

function delay(tries, reason) {
  const longest = Math.min(LONGEST_WAIT, 500 * 2 ** tries);
  const wait = longest * (0.75 + Math.random() / 2);
  say(`${reason} Trying again in ${Math.ceil(wait / 1000)} s; nothing is lost.`, true);
  return wait;
}

async function readable(some) {
  const good = [];
  for (const entry of some) {
    try {
      if (entry.file) await entry.file.slice(0, 1).arrayBuffer();
      good.push(entry);
    } catch {
      refuse(entry, "The file cannot be read any more: it was moved or changed. Drop it again.");
    }
  }
  return good;
}

function settle(entry, outcome) {
  if (outcome.position === undefined) return refuse(entry, outcome.reason);
  entry.position = outcome.position;
  entry.run.received[outcome.position] = entry;
  entry.state = "q";
  entry.file = null; // it has arrived: let go of it
}

function refuse(entry, reason) {
  entry.state = "refused";
  entry.reason = reason;
}

// ---- What the server says

const open = new Set();

async function poll() {
  if (run.session) open.add(run);
  if (polling) return;
  polling = true;
  for (let tries = 0; open.size; ) {
    for (const each of Array.from(open)) {
      const found = await progress(each);
      tries = found ? 0 : tries + 1;
    }
    show();
    await pause(Math.min(LONGEST_WAIT, 1000 * 2 ** tries));
  }
  polling = false;
}

async function progress(of) {
  try {
    const answer = await fetch(`${root}/drop/sessions/${of.session}`, { redirect: "manual" });
    if (!answer.ok) return false;
    take(of, await answer.json());
    return true;
  } catch {
    return false;
  }
}

function take(of, found) {
  of.found = found;
  for (let position = 0; position < found.states.length; position += 1) {
    const entry = of.received[position];
    if (entry) entry.state = found.states[position];
  }
  for (const failure of found.failures) {
    const entry = of.received[failure.position];
    if (entry) Object.assign(entry, { reason: failure.reason, image: failure.image });
  }
  if (found.is_over && !entries.some((entry) => entry.run === of && ["waiting", "sending"].includes(entry.state))) {
    of.isOver = true;
    open.delete(of);
  }
}

// ---- What is shown

const GROUPS = {
  all: () => true,
  failed: (entry) => entry.state === "f" || entry.state === "refused",
  open: (entry) => ["waiting", "sending", "u", "q"].includes(entry.state),
};
const rows = new WeakMap();
let drawing = false;

function show() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    draw();
  }, 100);
}

function tally() {
  const counts = { waiting: 0, sending: 0, refused: 0, u: 0, q: 0, c: 0, f: 0, s: 0 };
  for (const entry of entries) counts[entry.state] += 1;
  return counts;
}

function draw() {
  const counts = tally();
  const done = counts.c + counts.f + counts.s + counts.refused;
  find("progress").hidden = !entries.length;
  find("bar").max = entries.length || 1;
  find("bar").value = done;
  const words = [
    [counts.waiting, "to be sent"], [counts.sending, "on the way"], [counts.u + counts.q, "arrived, waiting or being described"],
    [counts.c, "described"], [counts.s, "left out"], [counts.f, "failed"], [counts.refused, "not accepted"],
  ];
  const parts = words.filter(([count]) => count).map(([count, text]) => `${count.toLocaleString("en")} ${text}`);
  put(find("summary"), `${done.toLocaleString("en")} of ${entries.length.toLocaleString("en")} done: ${parts.join(", ")}.${left ? ` Hidden files left out: ${left}.` : ""}`);
  const found = entries.filter(GROUPS[shown]);
  first = Math.max(0, Math.min(first, Math.floor((found.length - 1) / ROWS) * ROWS));
  const part = found.slice(first, first + ROWS);
  const list = find("files");
  const wanted = part.map(row);
  if (wanted.length !== list.children.length || wanted.some((each, at) => list.children[at] !== each)) list.replaceChildren(...wanted);
  find("pages").hidden = found.length <= ROWS;
  put(find("range"), found.length ? `${first + 1} to ${first + part.length} of ${found.length.toLocaleString("en")}` : "none");
  find("retry").hidden = !entries.some(GROUPS.failed);
  find("cancel").hidden = !run.session || run.isOver;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function row(entry) {
  if (!rows.has(entry)) {
    const item = document.createElement("li");
    const name = document.createElement("bdi");
    const state = document.createElement("span");
    const reason = document.createElement("span");
    name.textContent = entry.name;
    reason.className = "failure";
    item.append(name, state, reason);
    rows.set(entry, item);
  }
  const item = rows.get(entry);
  const [, state, reason] = item.children;
  const failed = GROUPS.failed(entry);
  state.className = `badge ${failed ? "bad" : entry.state === "c" ? "good" : entry.state === "q" || entry.state === "sending" ? "warn" : ""}`;
  const skipped = entry.run.found?.is_cancelled ? "cancelled" : "here already";
  put(state, { s: skipped, waiting: "to be sent", sending: "on the way", refused: "not accepted" }[entry.state] ?? LETTERS[entry.state]);
  put(reason, failed ? entry.reason : "");
  return item;
}

function say(text, isBad = false) {
  const notice = find("notice");
  notice.hidden = !text;
  notice.className = `notice ${isBad ? "bad" : ""}`;
  put(notice, text);
}

// ---- What a person does

async function again() {
  for (const entry of entries) {
    if (entry.state !== "refused" || !(entry.file || entry.url)) continue;
    Object.assign(entry, { state: "waiting", run });
    waiting.push(entry);
  }
  work();
  const failed = new Set(entries.filter((entry) => entry.state === "f").map((entry) => entry.run));
  for (const of of failed) await act(of, "again");
}

async function cancel() {
  waiting.splice(0).forEach((entry) => refuse(entry, "You cancelled before it was sent."));
  const of = run;
  run = newRun();
  await act(of, "cancel");
  show();
}

async function act(of, what) {
  const answer = await post(`/sessions/${of.session}/${what}`, new URLSearchParams());
  say(answer.sentence ?? answer.reason, !answer.sentence);
}

const zone = find("zone");
for (const name of ["dragover", "dragenter"]) {
  page.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
}
page.addEventListener("dragleave", () => zone.classList.remove("over"));
page.addEventListener("drop", async (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  add(await taken(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  add(named(event.clipboardData.files));
});
for (const chooser of page.querySelectorAll('input[type="file"]')) {
  chooser.addEventListener("change", () => {
    add(named(chooser.files));
    chooser.value = "";
  });
}
find("urls").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = event.target.elements.urls;
  const given = field.value.split(/\s+/).filter(Boolean);
  field.value = "";
  add(given.map((url) => ({ url, name: url })));
});
find("show").addEventListener("change", (event) => {
  shown = event.target.value;
  first = 0;
  draw();
});
find("before").addEventListener("click", () => { first -= ROWS; draw(); });
find("after").addEventListener("click", () => { first += ROWS; draw(); });
find("retry").addEventListener("click", again);
find("cancel").addEventListener("click", cancel);
window.addEventListener("beforeunload", (event) => {
  if (waiting.length || lanes) event.preventDefault();
});
page.hidden = false;
