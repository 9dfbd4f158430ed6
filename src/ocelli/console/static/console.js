// What pages gain by a script: times in the viewer's zone, placeholders of thumbnails, copying.
// Every page reads without it.
import { paint } from "./blurhash.js";

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function showTime(element) {
  if (!element.textContent.endsWith("UTC")) return; // it shows the viewer's time already
  const moment = new Date(element.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  element.title = element.textContent;
  element.textContent = moments.format(moment);
}

function showPlaceholder(element) {
  const image = element.querySelector("img");
  if (image && image.complete && image.naturalWidth) return;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  canvas.setAttribute("aria-hidden", "true");
  if (!paint(canvas, element.dataset.blurhash)) return;
  element.prepend(canvas);
  image?.addEventListener("load", () => canvas.remove(), { once: true });
}

function addCopyButton(element) {
  if (!navigator.clipboard) return; // there is none without TLS, but on this machine
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy small";
  button.textContent = "Copy";
  if (element.dataset.copy) button.setAttribute("aria-label", `Copy ${element.dataset.copy}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(element.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  element.append(button);
}

function countSelected(element) {
  const form = element.form ?? element.closest("form");
  const boxes = () => [...form.elements].filter((each) => each.name === "ids");
  const words = element.textContent;
  const show = () => {
    const count = boxes().filter((each) => each.checked).length;
    element.textContent = count ? `${count} selected` : words;
    all.textContent = count === boxes().length ? "Select none" : "Select all";
  };
  const all = document.createElement("button");
  all.type = "button";
  all.className = "plain";
  all.addEventListener("click", () => {
    const checked = boxes().some((each) => !each.checked);
    for (const each of boxes()) each.checked = checked;
    show();
  });
  element.after(all);
  document.addEventListener("change", show);
  show();
}

// Where the row of pages is wider than the window, the page that is open is in sight.
function showHere(link) {
  const row = link.closest("nav");
  row.scrollLeft = link.offsetLeft - row.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
}

function askFirst(element) {
  element.addEventListener("click", (event) => {
    if (!confirm(element.dataset.confirm)) event.preventDefault();
  });
}

function fillFromFile(chooser) {
  chooser.addEventListener("change", async () => {
    const field = chooser.form.elements[chooser.dataset.fills];
    if (chooser.files.length) field.value = await chooser.files[0].text();
  });
}

function showChosen(chooser) {
  const place = document.querySelector(chooser.dataset.shows);
  chooser.addEventListener("change", () => {
    const [file] = chooser.files;
    place.replaceChildren();
    place.hidden = !file;
    if (!file) return;
    const image = new Image();
    image.alt = "";
    image.src = URL.createObjectURL(file);
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    place.append(image);
  });
}

const ENHANCEMENTS = [
  ["nav [aria-current]", showHere],
  ["[data-selected]", countSelected],
  ["[data-confirm]", askFirst],
  ["time[datetime]", showTime],
  ["[data-blurhash]", showPlaceholder],
  ["[data-copy]", addCopyButton],
  ["input[data-fills]", fillFromFile],
  ["input[data-shows]", showChosen],
];

function enhance(root) {
  for (const [selector, apply] of ENHANCEMENTS) {
    for (const element of root.querySelectorAll(selector)) {
      if (element.enhanced && apply !== showTime) continue; // a swap may bring back the server's time
      element.enhanced = true;
      apply(element);
    }
  }
}

// Keys of the review: whatever has `data-key` is clicked by it, but not while a person writes.
document.addEventListener("keydown", (event) => {
  const writes = event.target.closest?.("input, textarea, select");
  if (writes || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const keyed = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!keyed) return;
  event.preventDefault();
  keyed.click();
  if (keyed.matches("summary")) keyed.parentElement.querySelector("textarea, input:not([type])")?.focus();
});

enhance(document);
document.addEventListener("htmx:after:swap", () => enhance(document));
